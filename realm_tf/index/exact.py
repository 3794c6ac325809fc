"""The exact index: all embeddings in one variable, searched by our op.

Shape letters: B batch, K results, N blocks, D projection, E banned rows.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from realm_tf.index.interface import QueryModel, RowIndex, host_variable
from realm_tf.index.shadowed import SavedShadow, ShadowedTable
from realm_tf.ops import top_k
from realm_tf.ops.lookup import look_up


class ExactIndex(RowIndex):
  """Exact maximum inner product search over a table that can be swapped.

  The table lives in a variable on the host; `assign` replaces it without retracing
  any function that searches it.
  """

  def __init__(self, query_model: QueryModel | None = None, k: int = 10,
               name: str = "exact_index", dtype: tf.DType = tf.float32,
               shadow: bool = False):
    """Makes an index of no rows; see `RowIndex`.

    Args:
      query_model, k, name, dtype: see there.
      shadow: whether to keep an eight-bit shadow of the table, N (D + 8) bytes, by
        which up to four queries are answered sooner; the answers are the same. Only
        for our op, not for its twin; the table must then change by `assign` only.
    """
    super().__init__(query_model, k, name, dtype)
    self.table: Any = None  # [N, D] variable, once there are rows
    self._has_shadow = shadow
    self._shadow: ShadowedTable | SavedShadow | None = None

  def assign(self, prepared: Any, step: int) -> None:
    rows = tf.cast(prepared, self.row_dtype)
    if self.table is None:
      self._make(rows)
    else:
      (self._shadow or self.table).assign(rows)
    self.step.assign(step)

  def _make(self, rows: tf.Tensor) -> None:
    self.table = host_variable(rows, "table")
    self._shadow = ShadowedTable(self.table) if self._has_shadow else None

  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    queries = tf.stop_gradient(queries)
    if self._shadow is None:
      return top_k.top_k_inner_product(queries, self.table, k, banned)
    table, shadow = self._shadow.read()
    return top_k.top_k_inner_product(queries, table, k, banned, shadow=shadow)

  def shadowed(self) -> "ExactIndex":
    """The same table with a shadow that a SavedModel holds too, never to be swapped."""
    shadowed = ExactIndex(self.query_model, self._k, self.name, self.row_dtype)
    shadowed.table, shadowed.identifiers = self.table, self.identifiers
    shadowed.step.assign(self.step)
    shadowed._shadow = SavedShadow(self.table)  # pylint: disable=protected-access
    return shadowed

  def for_export(self) -> RowIndex:
    return self.shadowed() if self._has_shadow else self

  def is_exact(self) -> bool:
    return True

  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    return tf.cast(look_up(self.table, rows), tf.float32)

  def rows(self) -> np.ndarray:
    return np.asarray(self.table.read_value())  # in its memory: numpy() would copy it

  @property
  def table_shape(self) -> tuple[int, int] | None:
    return None if self.table is None else tuple(self.table.shape)

  def forget(self) -> None:
    self.table = self._shadow = None
