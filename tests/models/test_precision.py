"""bfloat16 products: near the float32 model's numbers, with float32 weights and gradients."""

import numpy as np
import tensorflow as tf

from realm_tf.models.bert import BertConfig
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from tests import tiny

_BERT = BertConfig(len(tiny.vocabulary()), 32, 2, 2, 64, 64)


def _pair(model, **arguments):
  """The same weights twice, in float32 and in bfloat16."""
  return [model(_BERT, precision=precision, **arguments)
          for precision in ("float32", "bfloat16")]


def _copy_weights(source, target):
  rng = np.random.default_rng(0)
  for first, second in zip(source.variables, target.variables, strict=True):
    value = rng.normal(size=first.shape, scale=0.2).astype(np.float32)
    first.assign(value)
    second.assign(value)


def _relative(actual, exact):
  return float(tf.norm(actual - exact) / tf.norm(exact))


def test_encoder_in_bfloat16():
  exact, rounded = _pair(Reader, span_hidden_size=8)
  packed = tiny.random_packed(np.random.default_rng(1), 4, 24)
  positions = tf.constant([[1, 2]] * 4)
  labels, weights = tf.constant([[7, 9]] * 4), tf.ones([4, 2])
  results = []
  _copy_weights(exact, rounded)
  for encoder in (exact, rounded):
    with tf.GradientTape() as tape:
      log_probs = encoder.mask_log_probs(packed, positions, labels, weights)
      loss = -tf.reduce_mean(log_probs)
    kernels = [layer.intermediate.kernel for layer in encoder.bert.layers]
    results.append((log_probs, *tape.gradient(loss, kernels)))
    assert {v.dtype for v in encoder.variables} == {tf.float32}
  for value, other in zip(*results, strict=True):
    assert value.dtype == other.dtype == tf.float32
    difference = _relative(other, value)
    assert 0 < difference < 0.1  # 0 would be: nothing was rounded


def test_towers_in_bfloat16():
  exact, rounded = _pair(Retriever, pooling="mean", projection_size=16)
  packed = tiny.random_packed(np.random.default_rng(2), 4, 24)
  _copy_weights(exact, rounded)
  actual, expected = rounded.embed_documents(packed), exact.embed_documents(packed)
  assert actual.dtype == tf.float32 and 0 < _relative(actual, expected) < 0.05
  copy = rounded.make_tower("copy")
  for variable, live in zip(copy.variables, rounded.document_tower.variables, strict=True):
    variable.assign(live)
  np.testing.assert_array_equal(copy(packed), actual)  # as precise as the tower it copies
  copy = exact.make_tower("copy", "bfloat16")  # or as is asked for
  for variable, live in zip(copy.variables, exact.document_tower.variables, strict=True):
    variable.assign(live)
  np.testing.assert_array_equal(copy(packed), actual)
