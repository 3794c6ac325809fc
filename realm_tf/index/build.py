"""From embeddings to the index that the config names.

Shape letters: N rows, D projection, Q queries.
"""

from typing import Callable

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.mapped import as_tensor
from realm_tf.index.interface import RowIndex
from realm_tf.registry import INDEXES


def rows_to_read(config: RealmConfig, num_rows: int, strategy: tf.distribute.Strategy
                 ) -> slice:
  """Which of the N rows this process's index holds: all, or its share of them."""
  return INDEXES[config.index.kind].rows_held(num_rows, strategy)


def build_index(config: RealmConfig, table: np.ndarray, step: int,
                sample_queries: Callable[[], np.ndarray] | None = None,
                strategy: tf.distribute.Strategy | None = None,
                num_rows: int | None = None) -> RowIndex:
  """Makes an index and fills it.

  Args:
    config: of the run.
    table: [N, D], by the document tower of training step `step`; this process's
      `rows_to_read`. Nobody may change it any more.
    step: see `table`.
    sample_queries: gives queries [Q, D] on which an approximate index is measured.
    strategy: whose processes share an index that is sharded.
    num_rows: N, if `table` is a share.

  Raises:
    UserError: a device is not there, or the index finds less than `min_recall`.
  """
  index = INDEXES[config.index.kind].from_config(
      config.index, num_rows or len(table), tf.as_dtype(config.embedding_dtype), strategy)
  if sample_queries and not index.is_exact():
    index.measure_with(sample_queries())
  index.assign(index.prepare(as_tensor(table)), step)
  return index
