"""Examples for the span head alone: a question, a passage, and where its answers stand.

Shape letters: B batch, T tokens, L span widths, P rows of pairs, G gold spans, Q examples.
"""

import bisect
import types
import typing
from typing import Any, NamedTuple, Sequence, TypeAlias

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.corpus.store import Corpus, Ragged
from realm_tf.datasets.matching import find_occurrences
from realm_tf.errors import UserError
from realm_tf.examples.qa import GoldSpans, answer_groups
from realm_tf.text.inputs import Packed, pack_pair
from realm_tf.text.tokenizer import Tokenizer

Text: TypeAlias = str | bytes
Places: TypeAlias = list[list[tuple[int, int]]]  # of each passage: first and last piece

_MATCHED = 256  # examples whose answers are looked for together


class SpanBatch(NamedTuple):
  pairs: Packed  # [B, T]: question and passage
  correct: tf.Tensor  # [B, T, L] bool: whether the span from t to t + w is an answer


def span_batches(questions: Sequence[Text], passages: Sequence[Text], answers: Any,
                 tokenizer: Tokenizer, batch_size: int, max_length: int, max_span_width: int,
                 shuffle: bool = False) -> tf.data.Dataset:
  """Yields each example once, as a `SpanBatch`; anew in another order where `shuffle`.

  Args:
    questions, passages: Q texts both.
    answers: Q texts, or N lists of texts, of which all places count that are found by
      `datasets.matching`; or `(starts, ends)`, Q characters each of the passage, `ends`
      exclusive.
    tokenizer: of the model.
    batch_size: B.
    max_length: word pieces of a pair.
    max_span_width: L.
    shuffle: the order follows `tf.random.set_seed`.

  Raises:
    UserError: no example has a span to learn from, or its characters are not there.
  """
  if len(questions) != len(passages):
    raise UserError(f"{len(questions)} questions, but {len(passages)} passages")
  by_characters = (isinstance(answers, tuple) and len(answers) == 2
                   and np.issubdtype(np.asarray(answers[0]).dtype, np.integer))
  gold = (_at_characters(passages, answers[0], answers[1], tokenizer) if by_characters
          else _at_answers(passages, answers, tokenizer))
  _check_usable(gold, max_span_width)
  question_ids, passage_ids = map(tokenizer.tokenize, (questions, passages))
  starts, ends = (tf.ragged.constant([[place[side] for place in places] for places in gold],
                                     tf.int32, ragged_rank=1) for side in (0, 1))

  def batch(chosen: tf.Tensor) -> SpanBatch:
    pairs = pack_pair(tf.gather(question_ids, chosen), tf.gather(passage_ids, chosen),
                      max_length, tokenizer)
    spans = GoldSpans(*(tf.gather(side, chosen).to_tensor(-1)[:, None]
                        for side in (starts, ends)))
    shape = tf.concat([tf.shape(pairs.ids), [max_span_width]], 0)
    return SpanBatch(pairs, tf.ensure_shape(correct_spans(spans, pairs.second_start, shape),
                                            [None, None, max_span_width]))

  chosen = tf.data.Dataset.range(len(questions))
  chosen = (chosen.shuffle(len(questions)) if shuffle else chosen).batch(batch_size)
  return chosen.map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _check_usable(gold: Places, max_span_width: int) -> None:
  usable = sum(any(last - first < max_span_width for first, last in places)
               for places in gold)
  if not usable:
    raise UserError(f"none of {len(gold)} passages has its answer, with {max_span_width} "
                    "word pieces at most: there is nothing to learn from")
  if usable < len(gold):
    logging.warning("%d of %d passages do not have their answer, with %d word pieces at "
                    "most: nothing is learnt from them", len(gold) - usable, len(gold),
                    max_span_width)


def _at_answers(passages: Sequence[Text], answers: Sequence[Any], tokenizer: Tokenizer
                ) -> Places:
  """All places of the answers, each in its own passage."""
  if len(answers) != len(passages):
    raise UserError(f"{len(passages)} passages, but {len(answers)} answers")
  groups = answer_groups(answers)
  gold: Places = [[] for _ in passages]
  for first in range(0, len(passages), _MATCHED):
    texts = [text.encode("utf-8") if isinstance(text, str) else text
             for text in passages[first:first + _MATCHED]]
    # As much of a corpus as is looked at: the passages are its blocks.
    blocks = types.SimpleNamespace(texts=np.array(texts, object), **{
        name: Ragged(part.values.numpy(), part.row_splits.numpy()) for name, part in zip(
            ("body_ids", "body_starts", "body_ends"),
            tokenizer.tokenize_with_offsets(texts))})
    occurrences = find_occurrences(groups[first:first + _MATCHED],
                                   typing.cast(Corpus, blocks), tokenizer)
    example = np.repeat(np.arange(len(occurrences.splits) - 1), np.diff(occurrences.splits))
    # The others are in another example's passage.
    for i in np.flatnonzero(example == occurrences.rows):
      gold[first + example[i]].append((int(occurrences.starts[i]), int(occurrences.ends[i])))
  return gold


def _at_characters(passages: Sequence[Text], starts: Sequence[int], ends: Sequence[int],
                   tokenizer: Tokenizer) -> Places:
  """The characters [start, end) of each passage."""
  if not len(starts) == len(ends) == len(passages):
    raise UserError(f"{len(passages)} passages, but {len(starts)} starts and {len(ends)} "
                    "ends")
  _, piece_starts, piece_ends = (
      part.to_list() for part in tokenizer.tokenize_with_offsets(passages))
  gold: Places = []
  for number, (passage, start, end) in enumerate(zip(passages, starts, ends)):
    text = passage.decode("utf-8", "replace") if isinstance(passage, bytes) else passage
    if not 0 <= start < end <= len(text):
      raise UserError(f"example {number}: characters {start} to {end} are not in its passage "
                      f"of {len(text)}")
    first_byte, end_byte = (len(text[:place].encode("utf-8")) for place in (start, end))
    first = bisect.bisect_right(piece_ends[number], first_byte)
    last = bisect.bisect_left(piece_starts[number], end_byte) - 1
    gold.append([(first, last)] if first <= last else [])
  return gold


def correct_spans(gold: GoldSpans, second_start: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
  """Marks the gold spans among all spans.

  Args:
    gold: [B, P, G] pieces of the bodies.
    second_start: [B * P] where the body begins in the packed row.
    shape: of the span logits, [B * P, T, width].

  Returns:
    [B * P, T, width] bool. A gold span that was cut off, or is wider than `width`,
    is left out.
  """
  rows, length, width = tf.unstack(shape)
  starts = tf.reshape(gold.starts, [rows, -1])
  spread = tf.reshape(gold.ends, [rows, -1]) - starts
  starts_at = starts + second_start[:, None]
  usable = (starts >= 0) & (starts_at < length) & (spread < width)
  row = tf.broadcast_to(tf.range(rows)[:, None], tf.shape(starts))
  places = tf.boolean_mask(tf.stack([row, starts_at, spread], -1), usable)
  marks = tf.scatter_nd(places, tf.ones([tf.shape(places)[0]], tf.int32), shape)
  return marks > 0
