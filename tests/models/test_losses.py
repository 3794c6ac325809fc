"""Losses against hand-computed cases and against the paper's closed-form gradient."""

import math

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models import losses


def _case(seed, size=3, candidates=4, masks=5):
  rng = np.random.default_rng(seed)
  relevance = rng.normal(size=[size, candidates]) * 2
  log_probs = -rng.exponential(size=[size, candidates, masks])
  weights = (rng.random([size, masks]) < 0.7).astype(float)
  weights[:, 0] = 1
  return relevance, log_probs, weights


def test_joint_by_hand():
  # p(z|x) = (1/4, 3/4); p(y|z,x) = (1/2 * 1/2, 1/4 * 1); p(y|x) = 1/16 + 3/16 = 1/4.
  relevance = tf.math.log([[1.0, 3.0]])
  log_probs = tf.math.log([[[0.5, 0.5], [0.25, 1.0]]])
  loss = losses.joint_loss(relevance, log_probs, tf.ones([1, 2]))
  assert loss.numpy() == pytest.approx([math.log(4)])


def test_per_mask_by_hand():
  # mask 1: 1/4 * 1/2 + 3/4 * 1/4 = 5/16; mask 2: 1/4 * 1/2 + 3/4 * 1 = 7/8.
  relevance = tf.math.log([[1.0, 3.0]])
  log_probs = tf.math.log([[[0.5, 0.5], [0.25, 1.0]]])
  loss = losses.per_mask_loss(relevance, log_probs, tf.ones([1, 2]))
  assert loss.numpy() == pytest.approx([-math.log(5 / 16) - math.log(7 / 8)])


def test_forms_agree_on_one_mask_and_differ_on_two():
  relevance, log_probs, weights = _case(0, masks=1)
  np.testing.assert_allclose(losses.joint_loss(relevance, log_probs, weights),
                             losses.per_mask_loss(relevance, log_probs, weights))
  relevance, log_probs, weights = _case(0, masks=2)
  weights[:] = 1
  assert np.abs(losses.joint_loss(relevance, log_probs, weights)
                - losses.per_mask_loss(relevance, log_probs, weights)).max() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_gradient_of_joint_is_r_of_z(seed):
  """d log p(y|x) / d f(x,z) = [p(y|z,x)/p(y|x) - 1] p(z|x) (paper, appendix A)."""
  relevance, log_probs, weights = _case(seed)
  with tf.GradientTape() as tape:
    f = tf.constant(relevance)
    tape.watch(f)
    loss = losses.joint_loss(f, tf.constant(log_probs), tf.constant(weights))
  gradient = tape.gradient(loss, f).numpy()
  prior = np.exp(relevance) / np.exp(relevance).sum(1, keepdims=True)
  answer = np.exp((log_probs * weights[:, None]).sum(-1))  # p(y|z,x)
  evidence = (prior * answer).sum(1, keepdims=True)
  np.testing.assert_allclose(gradient, -(answer / evidence - 1) * prior, atol=1e-12)


def test_padding_masks_change_nothing():
  relevance, log_probs, weights = _case(1)
  for form in (losses.joint_loss, losses.per_mask_loss):
    short = form(relevance, log_probs, weights)
    padded = form(relevance, np.pad(log_probs, [(0, 0), (0, 0), (0, 2)]),
                  np.pad(weights, [(0, 0), (0, 2)]))
    np.testing.assert_allclose(short, padded)


def test_retrieval_utility_is_relative_to_candidate_0():
  log_probs = tf.constant([[[-3.0, -1.0], [-1.0, -1.0], [-4.0, -1.0]]])
  utility = losses.retrieval_utility(log_probs, tf.constant([[1.0, 0.0]]))
  assert utility.numpy().tolist() == [[2.0, -1.0]]


def test_marginal_loss_by_hand():
  logits = tf.math.log([[1.0, 2.0, 5.0]])
  loss = losses.marginal_loss(logits, tf.constant([[True, False, True]]))
  assert loss.numpy() == pytest.approx([-math.log(6 / 8)])


def test_marginal_loss_ignores_minus_infinity_and_examples_without_a_correct_one():
  logits = tf.Variable([[0.0, -math.inf, 1.0], [1.0, 2.0, -math.inf],
                        [1.0, 2.0, -math.inf]])
  # In the last row the only correct one was cut off: its logit is minus infinity.
  correct = tf.constant([[True, False, False], [False, False, False],
                         [False, False, True]])
  with tf.GradientTape() as tape:
    loss = losses.marginal_loss(logits, correct)
  gradient = tape.gradient(loss, logits).numpy()
  assert loss.numpy() == pytest.approx([math.log(1 + math.e), 0.0, 0.0], abs=1e-6)
  assert np.isfinite(gradient).all()
  assert gradient[0, 1] == 0 and not gradient[1:].any()
  np.testing.assert_allclose(gradient[0, [0, 2]], [-math.e / (1 + math.e),
                                                   math.e / (1 + math.e)], rtol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_joint_against_finite_differences(seed):
  """In float64: by relevance, r(z) of the paper; by log p(y_j|z,x), the posterior."""
  relevance, log_probs, weights = _case(seed, size=2, candidates=3, masks=3)

  def log_likelihood(f, log_p):
    prior = np.exp(f - np.log(np.exp(f).sum(1, keepdims=True)))
    return np.log((prior * np.exp((log_p * weights[:, None]).sum(-1))).sum(1)).sum()

  with tf.GradientTape() as tape:
    places = [tf.Variable(relevance), tf.Variable(log_probs)]
    loss = tf.reduce_sum(losses.joint_loss(*places, tf.constant(weights)))
  assert loss.dtype == tf.float64
  np.testing.assert_allclose(loss, -log_likelihood(relevance, log_probs), rtol=1e-12)
  step = 1e-6
  for place, gradient in enumerate(tape.gradient(loss, places)):
    for at in np.ndindex(*gradient.shape):
      moved = []
      for sign in (1, -1):
        values = [relevance.copy(), log_probs.copy()]
        values[place][at] += sign * step
        moved.append(-log_likelihood(*values))
      np.testing.assert_allclose(gradient[at], (moved[0] - moved[1]) / (2 * step),
                                 atol=1e-8)
