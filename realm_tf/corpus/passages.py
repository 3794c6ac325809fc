"""The corpus in the graph: blocks tokenised once, looked up by row in a step.

Row N, one past the last block, is the null document: an empty title and body.
Shape letters: B batch, T tokens, N blocks.
"""

import numpy as np
import tensorflow as tf

from realm_tf.corpus.store import Corpus, Ragged
from realm_tf.text.inputs import Packed, SpecialIds, pack_pair


class Table(tf.Module):
  """Ragged rows kept in variables: [N, (T)] int32."""

  def __init__(self, rows: Ragged, name: str):
    super().__init__(name=name)
    with tf.device("CPU"):
      self.values = tf.Variable(rows.values, trainable=False, name="values")
      self.splits = tf.Variable(rows.splits, trainable=False, name="splits")

  def gather(self, rows: tf.Tensor) -> tf.RaggedTensor:
    """rows: [B] int32 -> [B, (T)] int32."""
    table = tf.RaggedTensor.from_row_splits(self.values, self.splits, validate=False)
    return tf.gather(table, rows)

  def at(self, rows: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """The value at one position of each row: [B], [B] -> [B] int32."""
    return tf.gather(self.values, tf.gather(self.splits, rows) + tf.cast(positions, tf.int64))


def _with_empty_row(rows: Ragged) -> Ragged:
  return Ragged(rows.values, np.append(rows.splits, rows.splits[-1]))


class Passages(tf.Module):
  """Titles and bodies of all blocks, and of the null document."""

  def __init__(self, corpus: Corpus):
    super().__init__(name="passages")
    self.corpus = corpus
    self.num_blocks = corpus.num_blocks
    self.special: SpecialIds = corpus.tokenizer
    self.titles = Table(_with_empty_row(corpus.title_ids), "titles")
    self.bodies = Table(_with_empty_row(corpus.body_ids), "bodies")
    self.document_lengths = corpus.title_ids.lengths + corpus.body_ids.lengths + 3  # [N]

  @property
  def null_row(self) -> int:
    return self.num_blocks

  def documents(self, rows: tf.Tensor, max_length: int, multiple: int = 8) -> Packed:
    """[B] int32 -> `[CLS] title [SEP] body [SEP]`, what the document tower reads."""
    return pack_pair(self.titles.gather(rows), self.bodies.gather(rows), max_length,
                     self.special, multiple)

  def after(self, questions: tf.RaggedTensor, rows: tf.Tensor, max_length: int,
            multiple: int = 8) -> Packed:
    """`[CLS] x [SEP] body [SEP]`, what the encoder reads: the body has no title.

    Args:
      questions: [B, (T)] int32.
      rows: [B, K] int32: the blocks to read with each question.
      max_length: word pieces; the body is cut, not the question.
      multiple: see `pack_pair`.

    Returns:
      B * K packed pairs, those of the first question first.
    """
    owner = tf.repeat(tf.range(tf.shape(rows)[0]), tf.shape(rows)[1])
    return pack_pair(tf.gather(questions, owner), self.bodies.gather(tf.reshape(rows, [-1])),
                     max_length, self.special, multiple)
