"""bfloat16 products: near the float32 model's numbers, with float32 weights and gradients."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import processor
from realm_tf.models import dropout
from realm_tf.models.bert import Bert, BertConfig
from realm_tf.models.reader import Reader
from realm_tf.models.retriever import Retriever
from realm_tf.ops import library
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


def _trained(model, packed):
  with dropout.drawn(0, tf.constant(0)):
    return model(packed.ids, packed.padding_mask, packed.segments).numpy()


@pytest.mark.parametrize("has_products", [True, False])
def test_auto_rounds_where_it_trains_on_a_processor_for_it(has_products, monkeypatch):
  monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: has_products)
  auto, exact, rounded = (tiny.with_random_weights(Bert(_BERT, precision), scale=0.2)
                          for precision in ("auto", "float32", "bfloat16"))
  packed = tiny.random_packed(np.random.default_rng(3), 4, 24)
  in_training = rounded if has_products else exact
  np.testing.assert_array_equal(_trained(auto, packed), _trained(in_training, packed))
  np.testing.assert_array_equal(  # Keras's way
      auto(*packed[:3], training=True), in_training(*packed[:3], training=True))
  assert np.abs(_trained(exact, packed) - _trained(rounded, packed)).max() > 0
  for outside in ({}, {"training": False}):
    np.testing.assert_array_equal(auto(*packed[:3], **outside), exact(*packed[:3]))
  with library.portable():  # a stock TensorFlow that runs elsewhere
    assert auto.dtype_of_rows(training=True) == tf.float32
