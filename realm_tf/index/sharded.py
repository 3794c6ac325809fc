"""The exact index split over devices: each finds its best rows, the best of all win.

Shape letters: B batch, K results, N rows, D projection, R banned rows, S devices.
"""

from typing import Sequence

import numpy as np
import tensorflow as tf

from realm_tf.index import top_k
from realm_tf.index.exact import Search
from realm_tf.index.interface import RowIndex


class ShardedIndex(RowIndex):
  """Equals `ExactIndex` to the bit; holds N / S consecutive rows per device.

  On devices other than CPUs the search must be `top_k_inner_product_portable`.
  """

  def __init__(self, num_rows: int, size: int, devices: Sequence[str],
               dtype: tf.DType = tf.float32, search: Search = top_k.top_k_inner_product,
               k: int = 10, name: str = "sharded_index"):
    """Makes an index of zeros; see `ExactIndex`. `devices` is S names."""
    super().__init__(k, name=name)
    self._search, self._devices = search, tuple(devices)
    self._bounds = np.linspace(0, num_rows, len(devices) + 1).astype(int).tolist()
    self.tables = []
    for device, first, end in zip(devices, self._bounds, self._bounds[1:]):
      with tf.device(device):
        self.tables.append(tf.Variable(tf.zeros([end - first, size], dtype),
                                       trainable=False, name=f"rows_from_{first}"))
    with tf.device("CPU"):
      self.step = tf.Variable(-1, dtype=tf.int64, trainable=False, name="index_step")

  def assign(self, prepared, step: int) -> None:
    for table, first, end in zip(self.tables, self._bounds, self._bounds[1:]):
      table.assign(tf.cast(prepared[first:end], table.dtype))
    self.step.assign(step)

  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    queries = tf.stop_gradient(queries)
    if banned is None:
      banned = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
    # A device cannot know how many of its rows are banned, so it brings R more.
    wanted = k + tf.shape(banned)[1]
    parts = []
    for device, table, first in zip(self._devices, self.tables, self._bounds):
      with tf.device(device):
        scores, rows = self._search(queries, table, tf.minimum(wanted, table.shape[0]))
      parts.append((scores, rows + first))
    scores, rows = (tf.concat(part, 1) for part in zip(*parts))
    return best_of(scores, rows, k, banned)

  def rows(self) -> np.ndarray:
    return np.concatenate([table.numpy() for table in self.tables])

  def is_exact(self) -> bool:
    return True

  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    table = [tf.cast(tf.gather(table, tf.clip_by_value(rows - first, 0, end - first - 1)),
                     tf.float32)
             for table, first, end in zip(self.tables, self._bounds, self._bounds[1:])]
    found = table[0]
    for other, first in zip(table[1:], self._bounds[1:]):
      found = tf.where((rows >= first)[..., None], other, found)
    return found


def best_of(scores: tf.Tensor, rows: tf.Tensor, k, banned: tf.Tensor
            ) -> tuple[tf.Tensor, tf.Tensor]:
  """The best K of [B, C] rows that are not banned.

  Equal scores stand in the order of their rows, and `top_k` keeps that order.
  """
  is_banned = tf.reduce_any(rows[:, :, None] == tf.cast(banned, tf.int32)[:, None], 2)
  scores = tf.where(is_banned, -np.inf, scores)
  best, place = tf.math.top_k(scores, k)
  tf.debugging.assert_greater(
      best, -np.inf, "k is more than the rows left to a query, less the banned ones")
  return best, tf.gather(rows, place, batch_dims=1)
