"""From embeddings to the index that the config names.

Shape letters: N rows, D projection, Q queries.
"""

from typing import Callable

import ml_dtypes
import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.distribute.processes import num_processes
from realm_tf.errors import UserError
from realm_tf.index.distributed import DistributedIndex, own_rows
from realm_tf.index.exact import ExactIndex, Search
from realm_tf.index.interface import RowIndex
from realm_tf.index.scann import ScannIndex
from realm_tf.index.sharded import ShardedIndex

_ALIGNMENT = 64  # bytes, of a tensor's memory


def as_tensor(table: np.ndarray) -> tf.Tensor:
  """A tensor in the memory of `table`, which nobody may change any more.

  Only where TensorFlow can use it there, as it can what `StoredIndex.read` gives.
  """
  if table.ctypes.data % _ALIGNMENT or not table.flags.c_contiguous:
    return tf.constant(table)
  if table.dtype == ml_dtypes.bfloat16:
    return tf.bitcast(as_tensor(table.view(np.uint16)), tf.bfloat16)
  return tf.experimental.dlpack.from_dlpack(table.__dlpack__())


def rows_to_read(config: RealmConfig, num_rows: int, strategy: tf.distribute.Strategy
                 ) -> slice:
  """Which of the N rows this process's index holds: all, or its share of them."""
  if config.index.kind == "sharded" and num_processes(strategy) > 1:
    return slice(*own_rows(num_rows, strategy))
  return slice(0, num_rows)


def build_index(config: RealmConfig, table: np.ndarray, step: int, search: Search,
                sample_queries: Callable[[], np.ndarray] | None = None,
                strategy: tf.distribute.Strategy | None = None,
                num_rows: int | None = None) -> RowIndex:
  """Makes an index and fills it.

  Args:
    config: of the run.
    table: [N, D], by the document tower of training step `step`; this process's
      `rows_to_read`.
    step: see `table`.
    search: the op, or its twin.
    sample_queries: gives queries [Q, D] on which an approximate index is measured.
    strategy: whose processes share an index that is sharded.
    num_rows: N, if `table` is a share.

  Raises:
    UserError: a device is not there, or the index finds less than `min_recall`.
  """
  rows, size = table.shape
  if config.index.kind == "exact":
    dtype = tf.as_dtype(config.embedding_dtype)
    exact = ExactIndex(rows, size, dtype, search, table=tf.cast(as_tensor(table), dtype))
    exact.step.assign(step)
    return exact
  index = _empty(config, num_rows or rows, size, search, strategy)
  if sample_queries and not index.is_exact():
    index.measure_with(sample_queries())
  index.assign(index.prepare(table), step)
  return index


def _empty(config: RealmConfig, rows: int, size: int, search: Search,
           strategy: tf.distribute.Strategy | None) -> RowIndex:
  dtype = tf.as_dtype(config.embedding_dtype)
  if config.index.kind == "scann":
    return ScannIndex(rows, size, config.index, dtype, search)
  if strategy and num_processes(strategy) > 1:
    return DistributedIndex(rows, size, strategy, dtype, search)
  return ShardedIndex(rows, size, _devices(config.index.devices), dtype, search)


def _devices(names: tuple[str, ...]) -> list[str]:
  found = [device.name.removeprefix("/device:")
           for kind in ("GPU", "TPU", "CPU") for device in
           tf.config.list_logical_devices(kind)]
  short = [name.rsplit("device:", 1)[-1] for name in found]
  for name in names:
    if name not in short:
      raise UserError(f"config.index.devices: no device '{name}'; there are "
                      f"{', '.join(short)}")
  if names:
    return list(names)
  accelerators = [name for name in short if not name.startswith("CPU")]
  return accelerators or short
