"""The exact index: all embeddings in one variable, searched by our op.

Shape letters: B batch, K results, N blocks, D projection, R banned rows.
"""

from typing import Callable

import numpy as np
import tensorflow as tf

from realm_tf.index import top_k
from realm_tf.index.interface import RowIndex
from realm_tf.index.shadow import ShadowedTable

Search = Callable[..., tuple[tf.Tensor, tf.Tensor]]


class ExactIndex(RowIndex):
  """Exact maximum inner product search over a table that can be swapped.

  The table lives in a variable on the host; `assign` replaces it without retracing
  any function that searches it. Identifiers are row numbers.
  """

  def __init__(self, num_rows: int, size: int, dtype: tf.DType = tf.float32,
               search: Search = top_k.top_k_inner_product, k: int = 10,
               name: str = "exact_index", table: tf.Tensor | None = None,
               shadow: bool = False):
    """Makes an index of zeros, or of a table that is there already.

    Args:
      num_rows: N.
      size: D.
      dtype: of the table, float32 or bfloat16.
      search: the op, or its twin of stock TensorFlow ops.
      k: how many rows `call` returns by default.
      name: of the layer.
      table: [N, D] `dtype`; its memory is shared, not copied.
      shadow: whether to keep an eight-bit shadow of the table, N (D + 8) bytes, by
        which up to four queries are answered sooner; the answers are the same. Only
        for the op, not for its twin; the table must then change by `assign` only.
    """
    super().__init__(k, name=name)
    self._search = search
    with tf.device("CPU"):
      self.table = tf.Variable(
          tf.zeros([num_rows, size], dtype) if table is None else table,
          trainable=False, name="table")
      self._shadowed = ShadowedTable(self.table) if shadow else None
      # The model step whose document tower made the table; -1 before the first.
      self.step = tf.Variable(-1, dtype=tf.int64, trainable=False, name="index_step")

  def assign(self, embeddings: np.ndarray, step: int) -> None:
    """Swaps in new embeddings [N, D], made by the tower of training step `step`."""
    (self._shadowed or self.table).assign(tf.cast(embeddings, self.table.dtype))
    self.step.assign(step)

  def search(self, queries: tf.Tensor, k: int, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    queries = tf.stop_gradient(queries)
    if self._shadowed is None:
      return self._search(queries, self.table, k, banned)
    table, shadow = self._shadowed.read()
    return self._search(queries, table, k, banned, shadow=shadow)

  def is_exact(self) -> bool:
    return True

  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    """The stored embeddings of rows [...] int32: [..., D] float32."""
    return tf.cast(tf.gather(self.table, rows), tf.float32)

  def rows(self) -> np.ndarray:
    return self.table.numpy()
