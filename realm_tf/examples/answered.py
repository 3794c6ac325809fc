"""Questions with the places of their answers beside them, as `Realm.fit` takes them.

Unlike `examples.qa`, which looks the places up by the number of a question, a batch stands
by itself. Shape letters: B batch, T tokens, P places, N blocks.
"""

from typing import Any, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.corpus.store import Corpus
from realm_tf.counted import counted
from realm_tf.datasets.matching import find_occurrences
from realm_tf.errors import UserError
from realm_tf.examples.qa import AnswerPlaces, answer_groups
from realm_tf.text.inputs import Packed, pack_single


class AnsweredBatch(NamedTuple):
  question: Packed  # [B, T]
  rows: tf.Tensor  # [B, P] int32: blocks in which an answer stands, ascending; -1 on padding
  starts: tf.Tensor  # [B, P] int32: piece of the body
  ends: tf.Tensor  # [B, P] int32: inclusive

  def places(self, num_blocks: int) -> AnswerPlaces:
    """Of questions 0 to B - 1."""
    exists = self.rows >= 0
    question = tf.range(tf.shape(self.rows, tf.int64)[0])[:, None]
    keys = question * num_blocks + tf.cast(self.rows, tf.int64)
    starts, ends = (tf.concat([tf.boolean_mask(side, exists), [0]], 0)
                    for side in (self.starts, self.ends))
    return AnswerPlaces(tf.concat([tf.boolean_mask(keys, exists), [tf.int64.max]], 0),
                        starts, ends, num_blocks)


def answered_batches(questions: Sequence[str | bytes], answers: Sequence[Any],
                     corpus: Corpus, batch_size: int, max_length: int, shuffle: bool = False
                     ) -> tf.data.Dataset:
  """Yields each question once whose answer stands in the corpus.

  Args:
    questions: texts.
    answers: of each question a text, or a list of texts.
    corpus: where they are looked for, see `datasets.matching`.
    batch_size: B.
    max_length: of a question, word pieces.
    shuffle: in another order each time; it follows `tf.random.set_seed`.

  Raises:
    UserError: no answer stands in the corpus.
  """
  if len(questions) != len(answers):
    raise UserError(f"{len(questions)} questions, but {len(answers)} answers")
  tokenizer = corpus.tokenizer
  occurrences = find_occurrences(answer_groups(answers), corpus, tokenizer)
  usable = tf.constant(np.flatnonzero(np.diff(occurrences.splits)))
  if not len(usable):
    raise UserError(f"no answer of {counted(len(questions), 'question')} stands in the "
                    "corpus: there is nothing to learn from")
  ids = tokenizer.tokenize(questions)
  rows, starts, ends = (tf.RaggedTensor.from_row_splits(side, occurrences.splits)
                        for side in (occurrences.rows, occurrences.starts, occurrences.ends))

  def batch(chosen: tf.Tensor) -> AnsweredBatch:
    number = tf.gather(usable, chosen)
    return AnsweredBatch(
        pack_single(tf.gather(ids, number), max_length, tokenizer),
        *(tf.gather(side, number).to_tensor(-1) for side in (rows, starts, ends)))

  chosen = tf.data.Dataset.range(len(usable))
  chosen = (chosen.shuffle(len(usable)) if shuffle else chosen).batch(batch_size)
  return chosen.map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
