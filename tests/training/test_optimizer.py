"""AdamW against the formulas, written out in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import OptimizerConfig
from realm_tf.training.optimizer import WarmupLinearDecay, make_optimizer


def test_schedule_rises_then_falls_to_zero():
  schedule = WarmupLinearDecay(0.5, 10, 110)
  values = [float(schedule(step)) for step in (0, 4, 9, 10, 60, 110)]
  assert values == pytest.approx([0.05, 0.25, 0.5, 0.5, 0.25, 0.0])


def _adamw(values, gradients, config):
  """Loshchilov & Hutter's AdamW with bias correction, clipped by the global norm."""
  m, v = ([np.zeros_like(x) for x in values] for _ in range(2))
  for step, grads in enumerate(gradients):
    norm = np.sqrt(sum((g ** 2).sum() for g in grads))
    grads = [g * min(1, config.clip_norm / norm) for g in grads]
    rate = config.learning_rate * max(0, min(
        1, (step + 1) / config.warmup_steps,
        (config.steps - step) / (config.steps - config.warmup_steps)))
    for i, g in enumerate(grads):
      m[i] = 0.9 * m[i] + 0.1 * g
      v[i] = 0.999 * v[i] + 0.001 * g ** 2
      decay = config.weight_decay if values[i].ndim > 1 else 0
      correction = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
      values[i] = (values[i] * (1 - rate * decay)
                   - rate * correction * m[i] / (np.sqrt(v[i]) + 1e-6))
  return values


def test_updates_equal_the_formulas():
  rng = np.random.default_rng(0)
  config = OptimizerConfig(steps=20, learning_rate=0.1, warmup_steps=4, weight_decay=0.5,
                           clip_norm=1.0)
  start = [rng.normal(size=[3, 2]), rng.normal(size=[4])]
  gradients = [[rng.normal(size=x.shape) * scale for x in start]
               for scale in (3.0, 0.1, 1.0, 2.0, 0.01)]
  variables = [tf.Variable(x, dtype=tf.float32) for x in start]
  optimizer = make_optimizer(config)
  for grads in gradients:
    norm = optimizer.apply([tf.constant(g, tf.float32) for g in grads], variables)
    assert float(norm) == pytest.approx(np.sqrt(sum((g ** 2).sum() for g in grads)), 1e-5)
  for ours, expected in zip(variables, _adamw(start, gradients, config)):
    np.testing.assert_allclose(ours.numpy(), expected, rtol=2e-4, atol=1e-5)


def test_sparse_gradients_count_as_the_dense_ones_that_they_are():
  rows = tf.Variable(tf.ones([5, 2]))
  dense = tf.Variable(tf.ones([5, 2]))
  config = OptimizerConfig(steps=10, learning_rate=0.1, warmup_steps=1)
  sparse = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([2, 2]),
                            tf.constant([5, 2]))
  norms = [make_optimizer(config).apply([g], [v]) for g, v in (
      (sparse, rows), (tf.convert_to_tensor(sparse), dense))]
  assert float(norms[0]) == pytest.approx(np.sqrt(16 + 36))
  np.testing.assert_array_equal(rows, dense)
