"""The spans of the blocks that were read for a question, in one softmax over all of them.

A span's score is the reader's logit + `weight` * the retriever's score of its block, as in
ORQA (Lee et al. 2019, section 3.2), where the weight is 1. Only spans of whole words count;
where a question's blocks have none of so few pieces, all do, and are widened to words. Shape
letters: Q questions, R read blocks, T tokens, L span widths, S spans kept, Y temperatures.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.models.reader import Reader


class RetrievedBlocks(NamedTuple):
  """What a search returned, best first."""
  score: tf.Tensor  # [Q, K] float32
  row: tf.Tensor  # [Q, K] int32


class ReadSpans(NamedTuple):
  """All spans of all blocks that were read."""
  logits: tf.Tensor  # [Q, R, T * L] float32: the reader's; minus infinity where none is
  score: tf.Tensor  # [Q, R] float32: the retriever's
  row: tf.Tensor  # [Q, R] int32: block ids
  body: tf.Tensor  # [Q, R] int32: the place of a block's first piece
  width: tf.Tensor  # scalar int32: L
  whole_words: tf.Tensor  # [Q] bool: whether the spans are of whole words


class Spans(NamedTuple):
  """Some spans of each question, best first; its first is there always."""
  score: tf.Tensor  # [Q, S] float32; minus infinity where there are no more
  share: tf.Tensor  # [Q, S] float32: of the softmax over all spans; 0 where there are no more
  row: tf.Tensor  # [Q, S] int32
  first: tf.Tensor  # [Q, S] int32, piece of the body
  last: tf.Tensor  # [Q, S] int32, inclusive; before `first` where there are no more


def _spans_to(ends: tf.Tensor, width: int) -> tf.Tensor:
  """Whether the span from t to t + w ends at one of `ends`: [R, T] -> [R, T, L] bool."""
  length = tf.shape(ends)[1]
  ends = tf.pad(ends, [[0, 0], [0, width]])
  return tf.stack([ends[:, w:w + length] for w in range(width)], 2)


def read_blocks_of(encoder: Reader, passages: Passages, tokens: tf.RaggedTensor,
                   retrieved: RetrievedBlocks, counts: tf.Tensor | None = None) -> ReadSpans:
  """Reads blocks [P, R] with the questions whose pieces are `tokens` [P, (T)].

  `counts` [P] int32 says of how many of its blocks, the first ones, a question has spans.
  """
  rows = tf.reshape(retrieved.row, [-1])
  packed = passages.after(tokens, retrieved.row, encoder.max_length)
  logits = encoder.span_logits(packed)  # [P * R, T, W]
  begins, ends = passages.word_edges(packed, rows)
  words = begins[:, :, None] & _spans_to(ends, logits.shape[2])
  shape = tf.shape(retrieved.row)
  width = tf.shape(logits)[2]
  flat_shape = tf.concat([shape, [tf.shape(logits)[1] * width]], 0)
  logits, words = tf.reshape(logits, flat_shape), tf.reshape(words, flat_shape)
  if counts is not None:
    wanted = tf.range(shape[1])[None] < tf.maximum(counts, 1)[:, None]  # [P, R]
    logits = tf.where(wanted[:, :, None], logits, -float("inf"))
  word_logits = tf.where(words, logits, -float("inf"))
  whole_words = tf.reduce_any(tf.math.is_finite(word_logits), [1, 2])
  return ReadSpans(
      tf.where(whole_words[:, None, None], word_logits, logits), retrieved.score,
      retrieved.row, tf.reshape(packed.second_start, shape), width, whole_words)


def best(read_spans: ReadSpans, passages: Passages, most: int, weight: float,
         temperature: float) -> Spans:
  """The `most` best spans of each question, with their shares of the softmax over all."""
  scores = read_spans.logits + weight * read_spans.score[:, :, None]  # [Q, R, T * L]
  shape = tf.shape(scores)
  scores = tf.reshape(scores, [shape[0], -1])
  top, place = tf.math.top_k(scores, tf.minimum(most, tf.shape(scores)[1]))  # [Q, S]
  total = tf.reduce_logsumexp(scores / temperature, 1, keepdims=True)
  share = tf.where(tf.math.is_finite(top), tf.exp(top / temperature - total), 0.0)
  return Spans(top, share, *_where(read_spans, passages, tf.math.is_finite(top),
                                   place // shape[2], place % shape[2]))


def _where(read_spans: ReadSpans, passages: Passages, exists: tf.Tensor, block: tf.Tensor,
           place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Row, first and last piece of spans [Q, S], of whole words.

  Args:
    read_spans: among which they are.
    passages: the corpus.
    exists: [Q, S] bool: which are spans; the others get no piece.
    block: [Q, S] int32, in [0, R).
    place: [Q, S] int32, in [0, T * L).
  """
  row = tf.gather(read_spans.row, block, batch_dims=1)
  first = place // read_spans.width - tf.gather(read_spans.body, block, batch_dims=1)
  first = tf.where(exists, first, 0)
  last = tf.where(exists, first + place % read_spans.width, -1)

  def widened() -> tuple[tf.Tensor, tf.Tensor]:
    begin, end = passages.whole_words(*(tf.reshape(value, [-1])
                                        for value in (row, first, last)))
    return tf.reshape(begin, tf.shape(row)), tf.reshape(end, tf.shape(row))

  return row, *tf.cond(tf.reduce_all(read_spans.whole_words), lambda: (first, last), widened)


class Evidence(NamedTuple):
  """What is needed to say what other weights and temperatures would have answered."""
  logit: tf.Tensor  # [Q, R, S] float32: of the best spans of each block; minus infinity: none
  total: tf.Tensor  # [Q, R, Y] float32: log sum exp of all of a block's logits, divided by Y
  score: tf.Tensor  # [Q, R] float32: the retriever's
  row: tf.Tensor  # [Q, R * S] int32
  first: tf.Tensor  # [Q, R * S] int32
  last: tf.Tensor  # [Q, R * S] int32


def evidence(read_spans: ReadSpans, passages: Passages, most: int, temperatures: tf.Tensor
             ) -> Evidence:
  """The `most` best spans of each block, and its softmax at temperatures [Y]."""
  logits = read_spans.logits
  shape = tf.shape(logits)
  top, place = tf.math.top_k(logits, tf.minimum(most, shape[2]))  # [Q, R, S]
  block = tf.broadcast_to(tf.range(shape[1])[None, :, None], tf.shape(top))
  block, place = (tf.reshape(value, [shape[0], -1]) for value in (block, place))
  total = tf.map_fn(lambda t: tf.reduce_logsumexp(logits / t, 2), temperatures)  # [Y, Q, R]
  exists = tf.math.is_finite(tf.reshape(top, [shape[0], -1]))
  return Evidence(top, tf.transpose(total, [1, 2, 0]), read_spans.score,
                  *_where(read_spans, passages, exists, block, place))
