"""The heads against plain loops."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models.bert import BertConfig
from realm_tf.models.heads import SpanHead
from realm_tf.models.reader import Reader
from tests import tiny


@pytest.fixture(name="encoder", scope="module")
def _encoder():
  tf.random.set_seed(3)
  return Reader(BertConfig(len(tiny.vocabulary()), 16, 2, 2, 32, 64), span_hidden_size=8,
                max_span_width=3)


def test_span_logits_equal_a_plain_loop():
  rng = np.random.default_rng(0)
  head = SpanHead(4, 5, 3)
  hidden = rng.normal(size=[2, 6, 4]).astype(np.float32)
  allowed = np.array([[0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1]], bool)
  logits = head(tf.constant(hidden), tf.constant(allowed)).numpy()
  kernel, bias = (v.numpy() for v in head.projection.weights)
  gamma, beta = rng.normal(size=[2, 5]).astype(np.float32)
  head.norm.gamma.assign(gamma)
  head.norm.beta.assign(beta)
  logits = head(tf.constant(hidden), tf.constant(allowed)).numpy()
  projected = hidden @ kernel + bias
  for r, t, w in np.ndindex(2, 6, 3):
    if t + w >= 6 or not allowed[r, t:t + w + 1].all():
      assert logits[r, t, w] == -np.inf
      continue
    pair = np.maximum(projected[r, t, :5] + projected[r, t + w, 5:], 0)
    normed = (pair - pair.mean()) / np.sqrt(pair.var() + 1e-3) * gamma + beta
    expected = normed @ head.score.kernel.numpy()[:, 0] + head.score.bias.numpy()[0]
    np.testing.assert_allclose(logits[r, t, w], expected, rtol=1e-4, atol=1e-5)


def test_spans_lie_in_the_body(encoder):
  packed = tiny.random_packed(np.random.default_rng(1), 5, 12)
  logits = encoder.span_logits(packed).numpy()
  lengths = packed.padding_mask.numpy().sum(1)
  for r, t, w in np.ndindex(logits.shape):
    inside = packed.second_start[r] <= t and t + w < lengths[r] - 1
    assert np.isfinite(logits[r, t, w]) == bool(inside)


def test_mask_log_probs_are_those_of_all_positions_logits(encoder):
  rng = np.random.default_rng(2)
  packed = tiny.random_packed(rng, 4, 10)
  positions = rng.integers(0, 4, [4, 3]).astype(np.int32)
  labels = rng.integers(0, 20, [4, 3]).astype(np.int32)
  weights = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], np.float32)
  actual = encoder.mask_log_probs(packed, positions, labels, weights).numpy()
  hidden = encoder.bert(packed.ids, packed.padding_mask, packed.segments)
  all_logits = encoder.masked_lm(tf.reshape(hidden, [-1, 16]), encoder.bert.word_embeddings)
  all_logits = tf.nn.log_softmax(tf.reshape(all_logits, [4, 10, -1])).numpy()
  for r, m in np.ndindex(4, 3):
    expected = all_logits[r, positions[r, m], labels[r, m]] if weights[r, m] else 0.0
    np.testing.assert_allclose(actual[r, m], expected, rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing(encoder):
  packed = tiny.random_packed(np.random.default_rng(4), 3, 10)
  wider = packed._replace(
      ids=tf.pad(packed.ids, [[0, 0], [0, 6]], constant_values=7),
      padding_mask=tf.pad(packed.padding_mask, [[0, 0], [0, 6]]),
      segments=tf.pad(packed.segments, [[0, 0], [0, 6]]))
  short = encoder.bert(packed.ids, packed.padding_mask, packed.segments).numpy()
  long = encoder.bert(wider.ids, wider.padding_mask, wider.segments).numpy()[:, :10]
  real = packed.padding_mask.numpy()
  np.testing.assert_allclose(long[real], short[real], rtol=1e-4, atol=1e-5)
