"""The reader's posterior as the retriever's teacher, against plain sums."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models import open_qa
from realm_tf.models.open_qa import Beam, BeamScores

_B, _W, _R, _S = 6, 7, 4, 5


@pytest.fixture(name="world")
def _world():
  """Reader logits [B, R, S], f(x, z) [B, W] and correct spans [B, R, S]."""
  rng = np.random.default_rng(3)
  reader = rng.normal(size=[_B, _R, _S], scale=2)
  reader[:, :, -1] = -np.inf  # no span of the passage
  correct = rng.random([_B, _R, _S]) < 0.3
  correct[0] = False  # read nowhere
  correct[1], correct[1, 2, 1] = False, True  # in one block
  correct[2], correct[2, 3, -1] = False, True  # cut off
  return reader, rng.normal(size=[_B, _W], scale=3), correct


def _loss(reader, blocks, correct):
  spans = tf.reshape(reader + blocks[:, :_R, None], [_B, -1])
  beam = Beam(None, None, None, None, tf.reshape(tf.constant(correct), [_B, -1]))
  return open_qa.distillation(beam, BeamScores(blocks, spans), _R)


def _truth(reader, blocks, correct):
  divergences = []
  for logits, scores, right in zip(reader, blocks, correct):
    likelihood = [np.exp(block[mark]).sum() / np.exp(block).sum()
                  for block, mark in zip(logits, right)]
    if not sum(likelihood):
      divergences.append(0.0)
      continue
    p = np.array(likelihood) / sum(likelihood)
    q = np.exp(scores[:_R]) / np.exp(scores[:_R]).sum()
    divergences.append(sum(p[k] * np.log(p[k] / q[k]) for k in range(_R) if p[k]))
  return divergences


def test_it_is_the_divergence_of_the_posterior_from_the_prior(world):
  actual = _loss(*(tf.constant(part, tf.float32) for part in world[:2]), world[2])
  expected = _truth(*world)
  np.testing.assert_allclose(actual, expected, atol=1e-4)
  assert expected[0] == expected[2] == 0 and expected[1] > 0.5


def test_only_the_retriever_is_taught_and_by_the_difference(world):
  reader, blocks = (tf.constant(part, tf.float32) for part in world[:2])
  with tf.GradientTape() as tape:
    tape.watch([reader, blocks])
    loss = tf.reduce_sum(_loss(reader, blocks, world[2]))
  reader_gradient, block_gradient = tape.gradient(loss, [reader, blocks])
  assert not np.any(reader_gradient) and np.isfinite(block_gradient).all()
  step = 1e-3
  for place in np.ndindex(_B, _W):
    moved = [world[1].copy() for _ in range(2)]
    moved[0][place] += step
    moved[1][place] -= step
    # The teacher does not depend on f(x, z), so the plain difference is the gradient.
    expected = (sum(_truth(world[0], moved[0], world[2]))
                - sum(_truth(world[0], moved[1], world[2]))) / (2 * step)
    np.testing.assert_allclose(block_gradient[place], expected, atol=1e-3)
