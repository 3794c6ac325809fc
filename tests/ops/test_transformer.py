"""The two ways to compute between products: by our ops, and in stock TensorFlow ops."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models.bert import Bert, BertConfig
from realm_tf.ops import portable, transformer
from tests import tiny

_CONFIG = BertConfig(len(tiny.vocabulary()), 64, 2, 2, 96, 64)


def _bert(**changes) -> Bert:
  return tiny.with_random_weights(Bert(_CONFIG, **changes), scale=0.2)


def _outcome(bert: Bert, packed):
  """States of the tokens, and the gradient of a function of them."""
  @tf.function
  def run():
    with tf.GradientTape() as tape:
      hidden = tf.boolean_mask(bert(packed.ids, packed.padding_mask, packed.segments),
                               packed.padding_mask)
      weights = tf.cast(tf.reshape(tf.range(tf.size(hidden)), tf.shape(hidden)) % 7,
                        hidden.dtype)
      loss = tf.reduce_mean(hidden * weights)
    return hidden, tape.gradient(loss, bert.trainable_variables)

  hidden, gradients = run()
  return [hidden, *map(tf.convert_to_tensor, gradients)]


def _difference(actual, expected):
  """The largest of a tensor; those that are 0 but for rounding count by the others."""
  least = 0.01 * tf.linalg.global_norm(expected[1:])
  return max(float(tf.norm(a - b) / tf.maximum(tf.norm(b), least))
             for a, b in zip(actual, expected, strict=True))


@pytest.mark.parametrize("precision, least, most", [
    ("float32", 0, 1e-5), ("bfloat16", 1e-6, 0.1)])
def test_both_ways_agree(precision, least, most):
  bert = _bert(precision=precision)
  packed = tiny.random_packed(np.random.default_rng(1), 5, 30)
  actual = _outcome(bert, packed)
  with portable():
    expected = _outcome(bert, packed)
  # In bfloat16 nothing would be compared, were the two the same.
  assert least <= _difference(actual, expected) < most


@pytest.mark.parametrize("way", [transformer.Fused, transformer.Portable])
def test_padding_changes_nothing(way):
  bert, packed = _bert(), tiny.random_packed(np.random.default_rng(2), 4, 20)
  wider = type(packed)(*(tf.pad(field, [[0, 0], [0, 9]]) for field in packed[:3]), packed[3])
  outcomes = []
  for rows in (packed, wider):
    if way is transformer.Portable:
      with portable():
        outcomes.append(_outcome(bert, rows)[0])
    else:
      outcomes.append(_outcome(bert, rows)[0])
  np.testing.assert_allclose(*outcomes, rtol=1e-4, atol=1e-5)


def test_what_is_traced_as_portable_has_stock_ops_only():
  bert, packed = _bert(), tiny.random_packed(np.random.default_rng(3), 2, 8)
  function = tf.function(lambda: bert(packed.ids, packed.padding_mask, packed.segments))
  with portable():
    stock = {op.type for op in function.get_concrete_function().graph.get_operations()}
  ops_used = {op.type for op in tf.function(function.python_function).get_concrete_function()
              .graph.get_operations()}
  assert not any(name.startswith("Realm>") for name in stock)
  assert "Realm>PackedAttention" in ops_used


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recomputed_layers_have_the_same_gradient(precision):
  packed = tiny.random_packed(np.random.default_rng(4), 3, 12)
  once = _outcome(_bert(precision=precision), packed)
  again = _outcome(_bert(precision=precision, recompute=True), packed)
  for actual, expected in zip(again, once, strict=True):
    np.testing.assert_array_equal(actual, expected)


def test_bad_shapes_are_named():
  rows = tf.zeros([4, 8])
  with pytest.raises(tf.errors.InvalidArgumentError, match=r"rise from 0 to N = 4"):
    transformer.Fused.attention(tf.zeros([4, 24]), tf.zeros([24]),
                                transformer.Layout(rows > 0, splits=tf.constant([0, 3])), 2)
  with pytest.raises(tf.errors.InvalidArgumentError, match="input 1"):
    transformer.Fused.feed_forward(rows, tf.zeros([8, 9]), tf.zeros([7]), tf.zeros([9, 8]),
                                   "gelu")
  with pytest.raises(tf.errors.InvalidArgumentError, match="input 3"):
    transformer.Fused.norm(rows, rows, tf.zeros([8]), tf.zeros([7]), tf.zeros([8]), 1e-12)


@pytest.mark.parametrize("shape, spans", [((4, 9, 10), 3), ((2, 3, 64), 10)])
def test_spans_are_scored_alike(shape, spans):
  rng = np.random.default_rng(5)
  projected = tf.constant(rng.normal(size=shape), tf.float32)
  allowed = tf.constant(rng.random(shape[:2]) < 0.8)
  weight = tf.constant(rng.normal(size=shape[2] // 2), tf.float32)
  constant, upstream = tf.constant(0.5), rng.normal(size=(*shape[:2], spans))

  def outcome(way):
    with tf.GradientTape() as tape:
      tape.watch([projected, weight, constant])
      scores = way.span_scores(projected, allowed, weight, constant, spans, 1e-3)
      loss = tf.reduce_sum(tf.where(tf.math.is_finite(scores), scores, 0) * upstream)
    return [scores, *tape.gradient(loss, [projected, weight, constant])]

  for actual, expected in zip(*map(outcome, (transformer.Fused, transformer.Portable)),
                              strict=True):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_bad_shapes_of_spans_are_named():
  def scored(projected, allowed, weight):
    return transformer.Fused.span_scores(tf.zeros(projected), tf.ones(allowed, tf.bool),
                                         tf.zeros(weight), tf.zeros([]), 2, 1e-3)

  assert scored([2, 3, 4], [2, 3], [2]).shape == [2, 3, 2]
  for shapes, problem in [(([2, 3, 5], [2, 3], [2]), r"\[P, T, 2 F\]"),
                          (([2, 3, 0], [2, 3], [0]), r"\[P, T, 2 F\]"),
                          (([2, 3, 4], [2, 4], [2]), "input 1"),
                          (([2, 3, 4], [2, 3], [3]), "input 2"),
                          (([3, 4], [2, 3], [2]), "3 dimensions|rank 3")]:
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=problem):
      scored(*shapes)
