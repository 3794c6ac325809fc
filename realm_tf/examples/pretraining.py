"""Pre-training examples: a sentence with one salient span masked (REALM, section 3.4).

Shape letters: B batch, T tokens, M masks, R banned rows.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.examples import order
from realm_tf.text.inputs import Packed, pack_single

_SHORTEST = 8  # word pieces: less says too little to retrieve by
_HELD_OUT_EVERY = 20  # one sentence in so many is never trained on


class PretrainingBatch(NamedTuple):
  query: Packed  # [B, T]: for the query tower
  positions: tf.Tensor  # [B, M] int32: of the masks, in the packed query
  labels: tf.Tensor  # [B, M] int32: the masked pieces
  weights: tf.Tensor  # [B, M] float32: 0 on padding
  banned: tf.Tensor  # [B, R] int32: the sentence's own block and its near duplicates
  row: tf.Tensor  # [B] int32: block that the sentence comes from
  support: tf.Tensor  # [B] int32: another block with the same span, if there is one


class _Support(NamedTuple):
  """For each salient span, in which blocks the same pieces are salient."""
  rows: np.ndarray  # blocks of one span after those of another, none twice
  first: np.ndarray  # [spans] where the span's blocks begin in `rows`
  blocks: np.ndarray  # [spans] how many there are, its own counted
  own: np.ndarray  # [spans] which of them is its own


class SalientSentences(NamedTuple):
  """Sentences with at least one salient span; spans by CSR splits."""
  row: np.ndarray  # [S] int32
  start: np.ndarray  # [S] int32, token index in the body
  end: np.ndarray  # [S] int32
  span_splits: np.ndarray  # [S + 1] int64
  span_start: np.ndarray  # int32
  span_end: np.ndarray  # int32
  support: _Support  # of the spans


def _support(corpus: Corpus) -> _Support:
  row_of = np.repeat(np.arange(corpus.num_blocks), corpus.span_starts.lengths)
  first = corpus.body_ids.splits[row_of]
  start, end = first + corpus.span_starts.values, first + corpus.span_ends.values
  name = np.zeros(len(row_of), np.int64)
  for width in np.unique(end - start):
    chosen = np.flatnonzero(end - start == width)
    pieces = corpus.body_ids.values[start[chosen, None] + np.arange(width)]
    _, number = np.unique(pieces, axis=0, return_inverse=True)
    name[chosen] = number.ravel() + name.max() + 1
  keys = name * corpus.num_blocks + row_of
  pairs, place = np.unique(keys, return_inverse=True)
  begin = np.searchsorted(pairs, name * corpus.num_blocks)
  count = np.searchsorted(pairs, (name + 1) * corpus.num_blocks) - begin
  return _Support(pairs % corpus.num_blocks, begin, count, place.ravel() - begin)


def salient_sentences(corpus: Corpus, max_masks: int, support: tuple[int, int] = (1, 0)
                      ) -> SalientSentences:
  """Finds the sentences of the corpus that can be masked.

  Args:
    corpus: with salient spans.
    max_masks: word pieces; longer spans are left out.
    support: the fewest and the most blocks in which a span may be salient, its own
      counted; 0 for no upper limit. A span that is in no other block cannot be
      predicted from what is retrieved, since the own block is banned; one that is
      everywhere can be guessed.
  """
  starts = corpus.sentence_starts
  first = corpus.body_ids.splits[:-1]
  # One number line for the whole corpus: the place of a token among all tokens.
  sentence_at = starts.values + np.repeat(first, starts.lengths)
  row = np.repeat(np.arange(corpus.num_blocks, dtype=np.int32), starts.lengths)
  ends = np.append(sentence_at[1:], corpus.body_ids.splits[-1])
  base = np.repeat(first, corpus.span_starts.lengths)
  span_start, span_end = corpus.span_starts.values + base, corpus.span_ends.values + base
  fits = span_end - span_start <= max_masks
  support_of = _support(corpus)
  fewest, most = support
  fits &= (support_of.blocks >= fewest) & (support_of.blocks <= (most or corpus.num_blocks))
  span_start, span_end = span_start[fits], span_end[fits]
  splits = np.searchsorted(span_start, np.append(sentence_at, ends[-1:]))
  kept = (np.diff(splits) > 0) & (ends - sentence_at >= _SHORTEST)
  counts = np.diff(splits)[kept]
  chosen = np.repeat(kept, np.diff(splits))
  local = np.repeat(first[row[kept]], counts)
  return SalientSentences(
      row[kept], (sentence_at - first[row])[kept].astype(np.int32),
      (ends - first[row])[kept].astype(np.int32),
      np.concatenate([[0], np.cumsum(counts)]),
      (span_start[chosen] - local).astype(np.int32),
      (span_end[chosen] - local).astype(np.int32),
      _Support(support_of.rows,
               *(field[fits][chosen] for field in support_of[1:])))


def pretraining_batches(corpus: Corpus, banned: np.ndarray, *, batch_size: int,
                        query_length: int, max_masks: int, support: tuple[int, int],
                        seed: int, first_step: int, last_step: int,
                        held_out: bool = False, fixed_lengths: bool = False
                        ) -> tf.data.Dataset:
  """Yields a `PretrainingBatch` per step; (seed, step) decides it.

  Args:
    corpus: where the sentences come from, with their salient spans.
    banned: [N, R] int32, by block, the rows that must not be retrieved for a
      sentence of it; -1 for none.
    batch_size: B.
    query_length: word pieces, [CLS] and [SEP] counted; a longer sentence is cut to
      a window around the masked span.
    max_masks: M; longer spans are not masked.
    support: see `salient_sentences`.
    seed, first_step, last_step: see `order.shuffled_batches`.
    held_out: the sentences kept for evaluation, instead of those to train on.
    fixed_lengths: T is `query_length` and M `max_masks` in every batch; else they are
      those of its longest sentence and span.
  """
  sentences = salient_sentences(corpus, max_masks, support)
  number = np.arange(len(sentences.row))
  usable = tf.constant(number[(number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out])
  if not len(usable):
    raise UserError("pre-training: no sentence of the corpus has a salient span; "
                    "try --config.corpus.tagger=spacy or other text")
  table = tf.nest.map_structure(lambda field: tf.constant(field, tf.int32), sentences)
  body_values = tf.constant(corpus.body_ids.values)
  body_splits = tf.constant(corpus.body_ids.splits)
  ban_table = tf.constant(banned, tf.int32)
  special, room = corpus.tokenizer, query_length - 2

  def batch(step: tf.Tensor, drawn: tf.Tensor) -> PretrainingBatch:
    chosen = tf.gather(usable, drawn)
    row, start, end = (tf.gather(f, chosen) for f in table[:3])
    lo, hi = tf.gather(table.span_splits, chosen), tf.gather(table.span_splits, chosen + 1)
    draw = order.uniform(step, seed, batch_size) * tf.cast(hi - lo, tf.float32)
    span = tf.minimum(lo + tf.cast(draw, tf.int32), hi - 1)
    span_start, span_end = (tf.gather(f, span) for f in (table.span_start, table.span_end))
    # A window of at most `room` pieces with the span near its middle.
    middle = (span_start + span_end - room) // 2
    start = tf.maximum(start, tf.minimum(middle, end - room))
    end = tf.minimum(end, start + room)
    base = tf.cast(tf.gather(body_splits, row), tf.int32)
    place = tf.ragged.range(base + start, base + end)
    ids = tf.gather(body_values, place.values)
    owner = place.value_rowids()
    masked = ((place.values >= tf.gather(base + span_start, owner))
              & (place.values < tf.gather(base + span_end, owner)))
    query = place.with_values(tf.where(masked, special.mask_id, ids))
    labels = tf.ragged.boolean_mask(place.with_values(ids), place.with_values(masked))
    width = span_end - span_start
    masks = max_masks if fixed_lengths else tf.reduce_max(width)
    offsets = tf.range(masks)[None]  # [1, M]
    weights = tf.cast(offsets < width[:, None], tf.float32)
    positions = tf.where(weights > 0, 1 + (span_start - start)[:, None] + offsets, 0)
    packed = pack_single(query, query_length, special, 0 if fixed_lengths else 8)
    labels = labels.to_tensor(shape=[None, max_masks] if fixed_lengths else None)
    made = PretrainingBatch(packed, positions, labels, weights, tf.gather(ban_table, row),
                            row, _other_block(table.support, span, step))
    return order.fix_batch_size(made, batch_size)

  def _other_block(support: _Support, span: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    first, count, own = (tf.gather(field, span) for field in support[1:])
    draw = order.uniform(step, seed + 1, batch_size) * tf.cast(count - 1, tf.float32)
    other = (own + 1 + tf.cast(draw, tf.int32)) % count
    return tf.gather(support.rows, first + other)

  return order.shuffled_batches(
      len(usable), batch_size, seed, first_step, last_step
  ).map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)
