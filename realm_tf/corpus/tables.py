"""Tables that a graph looks up by row, where they lie: in memory or in mapped files.

They are variables, since an iterator of tf.data copies each tensor that its graph captures.
Shape letters: N rows, T values of a row, B rows that are looked up.
"""

from typing import Iterable

import numpy as np
import tensorflow as tf

from realm_tf.corpus.mapped import as_tensor
from realm_tf.corpus.ragged import Ragged
from realm_tf.ops.lookup import look_up


def variable(table: np.ndarray, name: str = "table") -> tf.Variable:
  """Shares the memory of `table` [N, ...], which nobody may change any more."""
  with tf.device("CPU"):
    return tf.Variable(as_tensor(table), trainable=False, name=name)


def columns(tables: Iterable[np.ndarray]) -> list[tf.Variable]:
  """A `variable` of each."""
  return [variable(table) for table in tables]


def at(tables: Iterable[tf.Variable], rows: tf.Tensor) -> list[tf.Tensor]:
  """Of each column [N, ...] of integers its `rows` [B]: [B, ...] int32."""
  return [tf.cast(look_up(table, rows), tf.int32) for table in tables]


class Table(tf.Module):
  """Ragged rows: [N, (T)]."""

  def __init__(self, rows: Ragged, name: str = "table"):
    super().__init__(name=name)
    # One value at least, for `at`.
    self.values = variable(rows.values if len(rows.values) else np.zeros([1], np.int32),
                           "values")
    self.splits = variable(rows.splits, "splits")

  def gather(self, rows: tf.Tensor) -> tf.RaggedTensor:
    """rows: [B] int -> [B, (T)] int32."""
    table = tf.RaggedTensor.from_row_splits(self.values, self.splits, validate=False)
    return tf.cast(tf.gather(table, rows), tf.int32)

  def at(self, rows: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """The value at one position of each row: [B], [B] -> [B] int32; anything if outside."""
    index = look_up(self.splits, rows) + tf.cast(positions, tf.int64)
    last = tf.size(self.values, tf.int64) - 1
    return tf.cast(look_up(self.values, tf.clip_by_value(index, 0, last)), tf.int32)

  def lengths(self, rows: tf.Tensor) -> tf.Tensor:
    """[B] int32 -> [B] int32."""
    return tf.cast(look_up(self.splits, rows + 1) - look_up(self.splits, rows), tf.int32)
