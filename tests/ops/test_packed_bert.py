"""A whole BERT by one op against the same layer by layer."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models.bert import Bert, BertConfig
from realm_tf.ops import bert as packed_bert
from realm_tf.ops import portable, rounding
from tests import tiny

_WORDS = len(tiny.vocabulary())


def _bert(hidden=32, heads=2, inner=64, layers=2, activation="gelu") -> Bert:
  config = BertConfig(_WORDS, hidden, layers, heads, inner, 600, hidden_act=activation)
  return tiny.with_random_weights(Bert(config), scale=0.2)


def _tokens(lengths):
  """Ids, mask and segments of sequences of these lengths, padded to the longest and one."""
  rng = np.random.default_rng(1)
  shape = [len(lengths), max(lengths, default=0) + 1]
  mask = np.arange(shape[1])[None] < np.array(lengths, int)[:, None]
  return (tf.constant(rng.integers(_WORDS, size=shape), tf.int32), tf.constant(mask),
          tf.constant(rng.integers(2, size=shape), tf.int32))


def _by_layers(bert, ids, mask, segments):
  with portable():
    return tf.where(mask[:, :, None], bert(ids, mask, segments), 0.0)


def _round_kernels(bert):
  """Kernels become what eight bits hold of them."""
  for layer in bert.layers:
    for part in (layer.query, layer.key, layer.value, layer.attention_output,
                 layer.intermediate, layer.output_dense):
      whole, scales = rounding.rounded(part.kernel.numpy()[None])
      part.kernel.assign(whole[0] * scales[0])


@pytest.mark.parametrize("sizes", [
    {}, {"hidden": 15, "heads": 3, "inner": 7, "activation": "relu"},
    {"hidden": 384, "heads": 12, "inner": 1536, "layers": 1},
    {"hidden": 768, "heads": 12, "inner": 100, "layers": 1, "activation": "gelu_new"}])
@pytest.mark.parametrize("precision, most", [("float32", 2e-5), ("int8", 2e-3)])
def test_it_is_what_the_layers_are(sizes, precision, most):
  bert = _bert(**sizes)
  unrounded = bert.pack(precision)
  if precision == "int8":
    _round_kernels(bert)  # of rows alone it rounds to sixteen bits
  tokens = _tokens([12, 1, 0, 37])
  expected = _by_layers(bert, *tokens)
  np.testing.assert_allclose(unrounded(*tokens), expected, atol=most * np.abs(expected).max())


@pytest.mark.parametrize("lengths", [[], [0], [1], [599], [70] * 40])
def test_whatever_the_lengths(lengths):
  bert, tokens = _bert(), _tokens(lengths)
  np.testing.assert_allclose(bert.pack()(*tokens), _by_layers(bert, *tokens), atol=1e-4)


def test_no_columns_at_all():
  none = tf.zeros([3, 0], tf.int32)
  assert _bert().pack()(none, tf.zeros([3, 0], tf.bool), none).shape == [3, 0, 32]


def test_it_has_the_weights_of_when_it_was_packed():
  bert, tokens = _bert(), _tokens([9, 4])
  packed, before = bert.pack(), _by_layers(bert, *tokens)
  bert.layers[0].query.kernel.assign_add(tf.ones([32, 32]))
  np.testing.assert_allclose(packed(*tokens), before, atol=1e-4)


def test_a_bert_computes_by_what_was_packed_of_it_where_that_is_said():
  bert, tokens = _bert(), _tokens([9, 4])

  def ops_of(function):
    graph = tf.function(function).get_concrete_function().graph
    return {op.type for op in graph.get_operations()}

  with packed_bert.computing({id(bert): bert.pack("int8")}):
    assert "Realm>Bert" in ops_of(lambda: bert(*tokens))
    with portable():
      assert not any("Realm" in op for op in ops_of(lambda: bert(*tokens)))
  assert "Realm>Bert" not in ops_of(lambda: bert(*tokens))


def test_many_threads_at_once_find_the_same():
  packed, start = _bert().pack("int8"), threading.Barrier(8)
  batches = [_tokens([12 + i] * (1 + 20 * (i % 2))) for i in range(8)]
  alone = [packed(*tokens).numpy() for tokens in batches]
  outputs = [[] for _ in batches]

  def ask(i):
    start.wait()
    for _ in range(5):
      outputs[i].append(packed(*batches[i]).numpy())

  threads = [threading.Thread(target=ask, args=[i]) for i in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  for expected, results in zip(alone, outputs, strict=True):
    for states in results:
      np.testing.assert_array_equal(states, expected)


@pytest.mark.parametrize("which, value, message", [
    (0, _WORDS, "ids must be from 0"), (0, -1, "ids must be from 0"),
    (2, 2, "segments must be from 0 to 1")])
def test_what_is_in_no_table_is_refused(which, value, message):
  tokens = list(_tokens([5, 3]))
  tokens[which] = tf.tensor_scatter_nd_update(tokens[which], [[1, 2]], [value])
  with pytest.raises(tf.errors.InvalidArgumentError, match=message):
    _bert().pack()(*tokens)


def test_more_tokens_than_positions_are_refused():
  with pytest.raises(tf.errors.InvalidArgumentError, match="positions must be from 0 to 599"):
    _bert().pack()(*_tokens([601]))
