"""Tables of integers that the graph of a tf.data pipeline looks up by row, where they lie."""

from typing import Iterable

import numpy as np
import tensorflow as tf

from realm_tf.corpus.mapped import as_tensor


class Columns:
  """Columns [X, ...] of integers; what lies in a file is read there, and not copied."""

  def __init__(self, columns: Iterable[np.ndarray]):
    self._columns = [as_tensor(np.asarray(column)) for column in columns]

  def at(self, rows: tf.Tensor) -> list[tf.Tensor]:
    """Of rows [B] int, each column: [B, ...] int32."""
    return [tf.cast(tf.gather(column, rows), tf.int32) for column in self._columns]
