"""The exact index split over the replicas of a strategy, in whatever processes they are.

Each replica's host holds N / J consecutive rows and searches them for the queries of all;
then the best of all that was found counts.

Shape letters: J replicas, B batch of one replica, K results, N rows, D projection, C
results that a replica finds, E banned rows.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from realm_tf.index.interface import QueryModel, RowIndex, host_variable
from realm_tf.index.merge import best_of
from realm_tf.ops import top_k
from realm_tf.ops.lookup import look_up

_SUM = tf.distribute.ReduceOp.SUM


def own_rows(num_rows: int, strategy: tf.distribute.Strategy) -> tuple[int, int]:
  """[first, end) of the rows that this process holds."""
  replicas = _replicas_here(strategy)
  bounds = _bounds(num_rows, strategy)
  return bounds[replicas.start], bounds[replicas.stop]


def _replicas_here(strategy: tf.distribute.Strategy) -> range:
  count = len(strategy.extended.worker_devices)
  resolver = strategy.cluster_resolver
  first = count * (resolver.task_id or 0) if resolver else 0
  return range(first, first + count)


def _bounds(num_rows: int, strategy: tf.distribute.Strategy) -> list[int]:
  return np.linspace(0, num_rows, strategy.num_replicas_in_sync + 1).astype(int).tolist()


class DistributedIndex(RowIndex):
  """Equals `ExactIndex` to the bit; no process holds more than its share.

  `search` and `gather` are called by all replicas at once inside `strategy.run`, each with
  queries of its own but the same B, K and E; or by all processes at once outside of it,
  with the same queries. What is swapped in must be of the same step in all processes.
  """

  def __init__(self, strategy: tf.distribute.Strategy, num_rows: int | None = None,
               query_model: QueryModel | None = None, k: int = 10,
               name: str = "distributed_index", dtype: tf.DType = tf.float32):
    """Makes an index of no rows; see `RowIndex`.

    Args:
      strategy: whose replicas share the rows.
      num_rows: N, of all processes, where they are given their shares only.
      query_model, k, name, dtype: see there.
    """
    super().__init__(query_model, k, name, dtype)
    self._strategy = strategy
    self._here = _replicas_here(strategy)
    self.tables: list[tf.Variable] = []
    self._bounds: list[int] = []
    if num_rows is not None:
      self._split(num_rows)

  def _split(self, num_rows: int) -> None:
    self._bounds = _bounds(num_rows, self._strategy)
    self.share = own_rows(num_rows, self._strategy)

  def prepare(self, embeddings: np.ndarray | tf.Tensor) -> np.ndarray | tf.Tensor:
    """This process's rows, of those or of all N."""
    if self.share is None:
      self._split(len(embeddings))
    first, end = self.share or (0, 0)
    return embeddings if len(embeddings) == end - first else embeddings[first:end]

  def assign(self, prepared: Any, step: int) -> None:
    tables, own = [], self._bounds[self._here.start]
    for place, replica in enumerate(self._here):
      first, end = (bound - own for bound in self._bounds[replica:replica + 2])
      rows = tf.cast(prepared[first:end], self.row_dtype)
      if self.tables:
        self.tables[place].assign(rows)
        continue
      tables.append(host_variable(rows, f"rows_from_{self._bounds[replica]}"))
    if tables:
      self.tables = tables
    self.step.assign(step)

  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    if banned is None:
      banned = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
    return self._on_replicas(lambda same, q, b: self._find(same, q, k, b),
                             tf.stop_gradient(queries), tf.cast(banned, tf.int32))

  def gather(self, rows: tf.Tensor) -> tf.Tensor:
    return self._on_replicas(self._look_up, rows)

  def rows(self) -> np.ndarray:
    return np.concatenate([table.numpy() for table in self.tables])

  def is_exact(self) -> bool:
    return True

  @property
  def table_shape(self) -> tuple[int, int] | None:
    return (self._bounds[-1], self.tables[0].shape[1]) if self.tables else None

  def forget(self) -> None:
    self.tables, self.share = [], None

  def _on_replicas(self, function, *arguments):
    """Calls it on this replica, or on all if this is none; says if arguments are the same."""
    context = tf.distribute.get_replica_context()
    if context is not None and context.strategy is self._strategy:
      return function(False, *arguments)
    results = self._strategy.run(functools.partial(function, True), args=arguments)
    return tf.nest.map_structure(
        lambda value: self._strategy.experimental_local_results(value)[0], results,
        expand_composites=False)

  def _find(self, same: bool, queries: tf.Tensor, k, banned: tf.Tensor
            ) -> tuple[tf.Tensor, tf.Tensor]:
    context = tf.distribute.get_replica_context()
    table, first = self._own(context)
    size = tf.shape(queries)[0]
    everyone, own = (queries, 0) if same else _gathered(context, queries)
    # Whose rows are banned is the asker's business, so E more are brought.
    depth = k + tf.shape(banned)[1]
    width = tf.minimum(depth, table.shape[0])
    scores, rows = top_k.top_k_inner_product(everyone, table, width)
    missing = [[0, 0], [0, depth - width]]  # of a share of fewer rows
    scores = tf.pad(scores, missing, constant_values=-np.inf)
    rows = tf.pad(rows + first, missing, constant_values=-1)

    def by_query(values: tf.Tensor) -> tf.Tensor:
      """[B or J * B, C] of each replica -> [B, J * C], in the order of the rows."""
      values, _ = _gathered(context, values[tf.newaxis])  # [J, B or J * B, C]
      return tf.reshape(tf.transpose(values[:, own:own + size], [1, 0, 2]), [size, -1])

    return best_of(by_query(scores), by_query(rows), k, banned)

  def _look_up(self, same: bool, rows: tf.Tensor) -> tf.Tensor:
    """Each replica puts in what it holds of all that is asked for."""
    context = tf.distribute.get_replica_context()
    table, first = self._own(context)
    everyone, own = (rows, 0) if same else _gathered(context, rows)
    if not table.shape[0]:
      table = tf.zeros([1, table.shape[1]])  # of which nothing is held
    places = everyone - first
    is_held = (places >= 0) & (places < table.shape[0])
    vectors = tf.cast(look_up(table, tf.where(is_held, places, 0)), tf.float32)
    vectors = context.all_reduce(_SUM, tf.where(is_held[..., tf.newaxis], vectors, 0.0))
    return vectors[own:own + tf.shape(rows)[0]]

  def _own(self, context: tf.distribute.ReplicaContext) -> tuple[tf.Variable, int]:
    """The table of this replica, and its first row."""
    replica = int(tf.get_static_value(context.replica_id_in_sync_group))
    return self.tables[replica - self._here.start], self._bounds[replica]


def _gathered(context: tf.distribute.ReplicaContext, values: tf.Tensor
              ) -> tuple[tf.Tensor, tf.Tensor]:
  """All replicas' [B, ...] tensors after each other, and where this one's begins."""
  # What was made outside of the replica has no device, and needs one.
  everyone = context.all_gather(tf.identity(values), axis=0)
  return everyone, context.replica_id_in_sync_group * tf.shape(values)[0]
