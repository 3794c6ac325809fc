"""The exact index split over devices: each finds its best rows, the best of all win.

Shape letters: B batch, K results, N rows, D projection, E banned rows, J devices, C
candidates.
"""

from typing import Any, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.config import IndexConfig
from realm_tf.distribute.processes import num_processes
from realm_tf.distribute.strategy import outside_scopes
from realm_tf.errors import UserError
from realm_tf.index.distributed import DistributedIndex, own_rows
from realm_tf.index.interface import QueryModel, RowIndex, host_variable
from realm_tf.index.merge import best_of
from realm_tf.ops import top_k
from realm_tf.ops.lookup import look_up


class ShardedIndex(RowIndex):
  """Equals `ExactIndex` to the bit; holds N / J consecutive rows per device.

  A checkpoint holds the table as one tensor, as that of `ExactIndex`, and may be restored by
  any number of devices.
  """

  def __init__(self, query_model: QueryModel | None = None, k: int = 10,
               name: str = "sharded_index", dtype: tf.DType = tf.float32,
               devices: Sequence[str] = ()):
    """Makes an index of no rows; see `RowIndex`.

    Args:
      query_model, k, name, dtype: see there.
      devices: J names, such as "GPU:0"; all accelerators by default, or CPUs if there are
        none.
    """
    super().__init__(query_model, k, name, dtype)
    self._devices = tuple(devices or _accelerators())
    self._bounds: list[int] = []
    self.table: Any = None  # [N, D], of a variable on each device, once there are rows

  @classmethod
  def from_config(cls, config: IndexConfig, num_rows: int, dtype: tf.DType,
                  strategy: tf.distribute.Strategy | None = None) -> RowIndex:
    if strategy and num_processes(strategy) > 1:
      return DistributedIndex(strategy, num_rows, dtype=dtype)
    available = _device_names()
    for name in config.devices:
      if name not in available:
        raise UserError(f"config.index.devices: no device '{name}'; there are "
                        f"{', '.join(available)}")
    return cls(dtype=dtype, devices=config.devices)

  @classmethod
  def rows_held(cls, num_rows: int, strategy: tf.distribute.Strategy) -> slice:
    if num_processes(strategy) == 1:
      return slice(0, num_rows)
    return slice(*own_rows(num_rows, strategy))

  def assign(self, prepared: Any, step: int) -> None:
    if self.table is None:
      shards = min(len(self._devices), max(1, len(prepared)))  # none without rows
      self._bounds = np.linspace(0, len(prepared), shards + 1).astype(int).tolist()
      self.table = outside_scopes(lambda: self._make(prepared))
    else:
      for table, (first, end) in zip(self.tables, self._ranges()):
        table.assign(tf.cast(prepared[first:end], self.row_dtype))
    self.step.assign(step)

  def _make(self, rows: Any) -> tf.__internal__.distribute.ShardedVariable:
    return tf.__internal__.distribute.ShardedVariable([
        host_variable(tf.cast(rows[first:end], self.row_dtype), f"rows_from_{first}", device)
        for (first, end), device in zip(self._ranges(), self._devices)], "table")

  def _ranges(self) -> list[tuple[int, int]]:
    """[first, end) of the rows of each device."""
    return list(zip(self._bounds, self._bounds[1:]))

  @property
  def tables(self) -> list[tf.Variable]:
    """Each device's rows."""
    return [] if self.table is None else list(self.table.variables)

  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    queries = tf.stop_gradient(queries)
    if banned is None:
      banned = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
    # A device cannot know how many of its rows are banned, so it brings E more.
    depth = k + tf.shape(banned)[1]
    parts = []
    for device, table, first in zip(self._devices, self.tables, self._bounds):
      with tf.device(device):
        scores, rows = top_k.search_on(device)(
            queries, table, tf.minimum(depth, table.shape[0]))
      parts.append((scores, rows + first))
    scores, rows = (tf.concat(part, 1) for part in zip(*parts))
    return best_of(scores, rows, k, banned)

  def rows(self) -> np.ndarray:
    return np.concatenate([table.numpy() for table in self.tables])

  def is_exact(self) -> bool:
    return True

  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    table = [tf.cast(look_up(table, tf.clip_by_value(rows - first, 0, end - first - 1)),
                     tf.float32)
             for table, (first, end) in zip(self.tables, self._ranges())]
    gathered = table[0]
    for other, first in zip(table[1:], self._bounds[1:]):
      gathered = tf.where((rows >= first)[..., None], other, gathered)
    return gathered

  @property
  def table_shape(self) -> tuple[int, int] | None:
    return None if self.table is None else tuple(self.table.shape)

  def forget(self) -> None:
    self.table = None


def _device_names() -> list[str]:
  return [device.name.rsplit("device:", 1)[-1] for kind in ("GPU", "TPU", "CPU")
          for device in tf.config.list_logical_devices(kind)]


def _accelerators() -> list[str]:
  available = _device_names()
  return [name for name in available if not name.startswith("CPU")] or available
