"""Tables of integers that the graph of a tf.data pipeline looks up by row, where they lie."""

from typing import Iterable

import numpy as np
import tensorflow as tf


class Columns:
  """Columns [X, ...] of integers; what lies in a file is read there, and not copied.

  By NumPy, since an iterator of tf.data copies the tensors that its graph captures.
  """

  def __init__(self, columns: Iterable[np.ndarray], dtype: type = np.int32):
    self._columns, self._dtype = [np.asarray(column) for column in columns], dtype

  def at(self, rows: tf.Tensor) -> list[tf.Tensor]:
    """Of rows [B] int, each column: [B, ...], int32 by default."""
    rows = tf.convert_to_tensor(rows)
    found = tf.numpy_function(self._look_up, [rows], [self._dtype] * len(self._columns),
                              stateful=False)
    return [tf.ensure_shape(values, [*rows.shape, *column.shape[1:]])
            for values, column in zip(found, self._columns)]

  def _look_up(self, rows: np.ndarray) -> list[np.ndarray]:
    return [column[rows].astype(self._dtype) for column in self._columns]
