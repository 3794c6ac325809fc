"""Open-domain QA examples: a question and where its answers stand in the corpus.

The places are found once per data set (`realm_tf.datasets.matching`); a training step
only looks them up. Shape letters: B batch, W beam, R read blocks, G gold spans, Q
questions.
"""

from typing import Any, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.datasets.matching import Occurrences
from realm_tf.examples import order
from realm_tf.text.inputs import kept_of_pair
from realm_tf.text.tokenizer import Tokenizer


class QABatch(NamedTuple):
  number: tf.Tensor  # [B] int32: which question of the data set
  question: tf.RaggedTensor  # [B, (T)] int32


def answer_groups(answers: Sequence[Any]) -> list[list[str]]:
  """Of each question its answers, be they given as a text or as several."""
  groups = ([group] if isinstance(group, (str, bytes)) else group for group in answers)
  return [[answer.decode("utf-8") if isinstance(answer, bytes) else str(answer)
           for answer in group] for group in groups]


class Learnable(NamedTuple):
  """How many questions have an answer that the reader can learn, and why others have none.

  Each of the others is counted once: under the last reason that rules all its answers out.
  """
  questions: int
  learnable: int
  nowhere: int  # stand in no block, as whole pieces
  too_wide: int  # have more pieces than a span
  cut_off: int  # stand where their block is not read any more
  too_late: int  # stand behind as many in their block as are used


class GoldSpans(NamedTuple):
  starts: tf.Tensor  # [B, R, G] int32: piece of the body; -1 for none
  ends: tf.Tensor  # [B, R, G] int32: inclusive


class AnswerPlaces(NamedTuple):
  """Where the answers of each question stand, looked up in the graph."""
  keys: tf.Tensor  # [P + 1] int64: question * N + row, ascending; then the largest number
  starts: tf.Tensor  # [P + 1] int32: piece of the body
  ends: tf.Tensor  # [P + 1] int32: inclusive
  num_blocks: int  # N

  @classmethod
  def of(cls, occurrences: Occurrences, num_blocks: int) -> "AnswerPlaces":
    counts = np.diff(occurrences.splits)
    question = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    # Sorted by question, then row: one number per place makes both a binary search.
    keys = question * num_blocks + occurrences.rows
    # The sentinel makes a gather at the end of the array safe.
    return cls(tf.constant(np.append(keys, np.iinfo(np.int64).max)),
               tf.constant(np.append(occurrences.starts, 0), tf.int32),
               tf.constant(np.append(occurrences.ends, 0), tf.int32), num_blocks)

  def _wanted(self, numbers: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return (tf.cast(numbers, tf.int64)[:, None] * self.num_blocks
            + tf.cast(rows, tf.int64))

  def stand_in(self, numbers: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Whether each block has an answer: [B], [B, W] rows -> [B, W] bool."""
    wanted = self._wanted(numbers, rows)
    place = tf.searchsorted(self.keys, tf.reshape(wanted, [-1]))
    return tf.reshape(tf.gather(self.keys, place), tf.shape(wanted)) == wanted

  def spans(self, numbers: tf.Tensor, rows: tf.Tensor, most: int) -> GoldSpans:
    """The first `most` correct spans of each block: [B], [B, R] rows -> [B, R, G]."""
    wanted = self._wanted(numbers, rows)
    first = tf.searchsorted(self.keys, tf.reshape(wanted, [-1]))
    place = tf.reshape(first, tf.shape(wanted))[:, :, None] + tf.range(most)  # [B, R, G]
    place = tf.minimum(place, tf.size(self.keys) - 1)
    holds = tf.gather(self.keys, place) == wanted[:, :, None]
    return GoldSpans(tf.where(holds, tf.gather(self.starts, place), -1),
                     tf.where(holds, tf.gather(self.ends, place), -1))


def learnable(occurrences: Occurrences, question_lengths: np.ndarray,
              body_lengths: np.ndarray, *, max_span_width: int, reader_length: int,
              max_spans: int) -> Learnable:
  """Counts the questions that the reader can learn from, once their blocks are retrieved.

  Args:
    occurrences: of the answers of Q questions.
    question_lengths: [Q] word pieces.
    body_lengths: [N] word pieces of the blocks.
    max_span_width, reader_length, max_spans: see the config.
  """
  counts = np.diff(occurrences.splits)
  question = np.repeat(np.arange(len(counts)), counts)
  rows, starts, ends = occurrences.rows, occurrences.starts, occurrences.ends
  pieces_read = kept_of_pair(question_lengths[question].astype(np.int32),
                             body_lengths[rows].astype(np.int32), reader_length)[1].numpy()
  # `AnswerPlaces.spans` takes the first of each question and block.
  place = np.arange(len(rows))
  begins = np.append(True, (np.diff(question) != 0) | (np.diff(rows) != 0))[:len(rows)]
  number = place - np.maximum.accumulate(np.where(begins, place, 0))
  usable = np.logical_and.accumulate(
      [starts >= 0, ends - starts < max_span_width, ends < pieces_read, number < max_spans])
  left = [len(counts), *(len(np.unique(question[places])) for places in usable)]
  return Learnable(left[0], left[-1], *(-np.diff(left)).tolist())


def qa_batches(questions: Sequence[str], usable: np.ndarray, tokenizer: Tokenizer, *,
               batch_size: int, seed: int, first_step: int, last_step: int
               ) -> tf.data.Dataset:
  """Yields a `QABatch` per step; (seed, step) decides it.

  Args:
    questions: Q texts, tokenised here, once.
    usable: integers, one at least and at most Q: numbers of the questions to train on,
      those whose answer stands in the corpus, since the others have no loss.
    tokenizer: the corpus's.
    batch_size: B.
    seed, first_step, last_step: see `order.shuffled_batches`.
  """
  tokens = tokenizer.tokenize(tf.constant(list(questions)))
  usable = tf.constant(usable, tf.int32)

  def batch(step: tf.Tensor, chosen: tf.Tensor) -> QABatch:
    del step
    number = tf.gather(usable, chosen)
    return QABatch(number, tf.gather(tokens, number))

  return order.shuffled_batches(
      len(usable), batch_size, seed, first_step, last_step).map(batch).prefetch(4)
