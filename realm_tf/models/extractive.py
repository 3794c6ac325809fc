"""The masked span as an extractive answer: where it stands in what is read with a sentence.

REALM's encoder predicts masked words (Guu et al. 2020, section 3.2), so that a small one has
to learn to copy before p(y|z,x) says anything of z. A span head knows of nothing but the
block: blocks that hold the span can give it, others cannot. Both are mixed, as a
pointer-generator does (See et al. 2017, arXiv 1704.04368, equation 9), so that the null
document, which has no span, and blocks without it compete by the words alone.

Shape letters: P pairs, T tokens, M masks, L span widths, V vocabulary, H hidden.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.models import losses
from realm_tf.models.reader import Reader
from realm_tf.text.inputs import Packed


class Masks(NamedTuple):
  """What is masked in the sentence of each pair."""
  positions: tf.Tensor  # [P, M] int32, in the pair
  labels: tf.Tensor  # [P, M] int32
  weights: tf.Tensor  # [P, M] float32: 1 for a mask, 0 for padding, which is behind


def span_starts(pairs: Packed, masks: Masks, continuation: np.ndarray) -> tf.Tensor:
  """Where the masked pieces stand in the block of each pair, as whole words.

  Args:
    pairs: sentences with blocks.
    masks: of the sentences. Where they are no span, but apart, they stand nowhere.
    continuation: [V] bool, which pieces go on with a word.

  Returns:
    [P, T] bool: places of a first piece.
  """
  count = tf.reduce_sum(tf.cast(masks.weights > 0, tf.int32), 1)[:, None]  # [P, 1]
  place = tf.range(tf.shape(pairs.ids)[1])[None]  # [1, T]
  end = tf.reduce_sum(tf.cast(pairs.padding_mask, tf.int32), 1)[:, None] - 1  # of the block
  steps = tf.range(tf.shape(masks.labels)[1])[None]  # [1, M]
  # One more than there are masks: the piece behind a span.
  shown = tf.pad(pairs.ids, [[0, 0], [0, tf.shape(masks.labels)[1] + 1]])
  windows = tf.gather(shown, place[0][:, None] + steps, axis=1)  # [P, T, M]
  same = tf.reduce_all((windows == masks.labels[:, None])
                       | (masks.weights == 0)[:, None], 2)
  behind = tf.gather(shown, place + count, batch_dims=1)  # [P, T]
  goes_on = tf.gather(tf.constant(continuation), behind) & (place + count < end)
  together = tf.reduce_all((masks.positions == masks.positions[:, :1] + steps)
                           | (masks.weights == 0), 1)[:, None]
  inside = (place >= pairs.second_start[:, None]) & (place + count <= end)
  return same & inside & together & (count > 0) & ~goes_on


class CopyingReader:
  """log p(y|z,x) by words and by spans together, in place of `Reader.mask_log_probs`.

      p(y|z,x) = share * p_span(y|z,x) + (1 - share) * prod_j p_word(y_j|z,x)

  p_span is what the span head gives to all places of the masked span together, of all spans
  of the block; 0 where it stands nowhere, or is wider than the head's widest. So a block that
  holds it can be likely however poor the word head is, and none is likely because the words
  can be guessed.
  """

  def __init__(self, reader: Reader, continuation: np.ndarray, share: float,
               padded: bool = False):
    """Args:
      reader: whose heads they are.
      continuation: see `span_starts`.
      share: of the span head, above 0 and below 1.
      padded: whether no shape may depend on the data.
    """
    self._reader, self._continuation, self._padded = reader, continuation, padded
    self._share = share

  def __call__(self, pairs: Packed, positions: tf.Tensor, labels: tf.Tensor,
               weights: tf.Tensor) -> tf.Tensor:
    """As `Reader.mask_log_probs`: [P, M] float32.

    A span is one event, so its log probability is spread over its masks in equal parts: their
    sum, which is what the joint loss takes, is log p(y|z,x).
    """
    hidden = self._reader.hidden(pairs)
    by_words = tf.reduce_sum(self._reader.mask_log_probs_of(
        hidden, positions, labels, weights, self._padded), 1)  # [P]
    starts = span_starts(pairs, Masks(positions, labels, weights), self._continuation)
    held, by_spans = span_log_probs(
        self._reader.span_logits_of(hidden, pairs), starts,
        tf.reduce_sum(tf.cast(weights > 0, tf.int32), 1))
    words = by_words + tf.math.log1p(-self._share)
    # The lowest number instead of minus infinity, whose gradient would be NaN.
    spans = tf.where(held, by_spans + tf.math.log(self._share), words.dtype.min)
    both = tf.reduce_logsumexp(tf.stack([words, spans]), 0)
    count = tf.maximum(tf.reduce_sum(weights, 1), 1.0)
    return (both / count)[:, None] * weights


def span_log_probs(logits: tf.Tensor, starts: tf.Tensor, width: tf.Tensor
                   ) -> tuple[tf.Tensor, tf.Tensor]:
  """log of what a softmax over the spans of each block gives to the right ones together.

  Args:
    logits: [P, T, L] float32, minus infinity where there is no span.
    starts: [P, T] bool: where a right span starts.
    width: [P] int32: pieces of it, at least 1.

  Returns:
    [P] bool, whether there is a right one; [P] float32, anything where there is none.
  """
  of_width = tf.one_hot(width - 1, tf.shape(logits)[2], True, False, dtype=tf.bool)
  correct = starts[:, :, None] & of_width[:, None] & tf.math.is_finite(logits)
  rows = tf.shape(logits)[0]
  correct, logits = (tf.reshape(values, [rows, -1]) for values in (correct, logits))
  return tf.reduce_any(correct, 1), -losses.marginal_loss(logits, correct)
