"""The span head's likelihood of a masked span, against sums by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from realm_tf.models.bert import BertConfig
from realm_tf.models.extractive import CopyingReader, span_log_probs
from realm_tf.models.reader import Reader
from realm_tf.text.inputs import Packed

_CONTINUATION = np.zeros(30, bool)


@pytest.fixture(name="reader", scope="module")
def _reader():
  tf_keras.utils.set_random_seed(3)
  return Reader(BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1,
                           num_attention_heads=2, intermediate_size=16,
                           max_position_embeddings=16), span_hidden_size=4, max_span_width=2)


def _case():
  """`[CLS] [MASK] [MASK] [SEP] block [SEP]`; 11 12 is masked, and stands in the first twice,
  in the second never; the third is the null document."""
  ids = [[1, 3, 3, 2, 11, 12, 5, 11, 12, 2], [1, 3, 3, 2, 12, 11, 5, 6, 7, 2],
         [1, 3, 3, 2, 2, 0, 0, 0, 0, 0]]
  pairs = Packed(tf.constant(ids), tf.not_equal(ids, 0), tf.zeros_like(ids),
                 tf.constant([4, 4, 4]))
  masks = (tf.constant([[1, 2, 0]] * 3), tf.constant([[11, 12, 0]] * 3),
           tf.constant([[1.0, 1.0, 0.0]] * 3))
  return pairs, masks


@pytest.mark.parametrize("padded", [False, True])
def test_a_block_is_as_likely_as_its_right_spans_and_words_together(reader, padded):
  pairs, masks = _case()
  ours = CopyingReader(reader, _CONTINUATION, 0.25, padded)(pairs, *masks).numpy()
  words = np.exp(reader.mask_log_probs(pairs, *masks).numpy().sum(1))
  spans = np.exp(reader.span_logits(pairs).numpy()[0])
  by_spans = (spans[4, 1] + spans[7, 1]) / spans.sum()
  np.testing.assert_allclose(np.exp(ours.sum(1)), [
      0.25 * by_spans + 0.75 * words[0], 0.75 * words[1], 0.75 * words[2]], rtol=1e-4)
  np.testing.assert_allclose(ours[:, 0], ours[:, 1])  # in equal parts
  assert not ours[:, 2].any()


def test_gradients_are_finite_and_reach_the_span_head_only_by_blocks_that_hold_it(reader):
  pairs, masks = _case()
  for rows, reached in ((slice(0, 1), True), (slice(1, 3), False)):
    part, fields = tf.nest.map_structure(lambda t, rows=rows: t[rows], (pairs, masks))
    with tf.GradientTape() as tape:
      loss = -tf.reduce_sum(CopyingReader(reader, _CONTINUATION, 0.5)(part, *fields))
    gradients = tape.gradient(loss, reader.span_head.trainable_variables,
                              unconnected_gradients="zero")
    flat = np.concatenate([np.ravel(tf.convert_to_tensor(g)) for g in gradients])
    assert np.isfinite(flat).all() and bool(flat.any()) == reached


def test_a_span_wider_than_the_head_is_not_held():
  logits = tf.math.log([[[1.0, 2.0], [3.0, 4.0]]])
  held, log_p = span_log_probs(logits, tf.constant([[False, True]]), tf.constant([2]))
  assert held.numpy().tolist() == [True] and log_p.numpy() == pytest.approx([
      math.log(0.4)])
  held, _ = span_log_probs(logits, tf.constant([[True, True]]), tf.constant([3]))
  assert held.numpy().tolist() == [False]
