"""The exact index split over the replicas of a strategy, in whatever processes they are.

Each replica's host holds N / R consecutive rows and searches them for the queries of all;
then the best of all that was found counts.

Shape letters: R replicas, B batch of one replica, K results, N rows, D projection, W
results that a replica finds, E banned rows.
"""

import functools

import numpy as np
import tensorflow as tf

from realm_tf.index import top_k
from realm_tf.index.exact import Search
from realm_tf.index.interface import RowIndex
from realm_tf.index.sharded import best_of

_SUM = tf.distribute.ReduceOp.SUM


def own_rows(num_rows: int, strategy: tf.distribute.Strategy) -> tuple[int, int]:
  """[first, end) of the rows that this process holds."""
  here = _replicas_here(strategy)
  bounds = _bounds(num_rows, strategy)
  return bounds[here.start], bounds[here.stop]


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

  def __init__(self, num_rows: int, size: int, strategy: tf.distribute.Strategy,
               dtype: tf.DType = tf.float32, search: Search = top_k.top_k_inner_product,
               k: int = 10, name: str = "distributed_index"):
    """Makes an index of zeros; see `ExactIndex`. `num_rows` is N, of all processes."""
    super().__init__(k, name=name)
    self._strategy, self._search = strategy, search
    self._bounds = _bounds(num_rows, strategy)
    self._here = _replicas_here(strategy)
    self._own_rows = self.share = own_rows(num_rows, strategy)
    with tf.device("CPU"):
      self.tables = [
          tf.Variable(tf.zeros([self._bounds[i + 1] - self._bounds[i], size], dtype),
                      trainable=False, name=f"rows_from_{self._bounds[i]}")
          for i in self._here]
      self.step = tf.Variable(-1, dtype=tf.int64, trainable=False, name="index_step")

  def prepare(self, embeddings: np.ndarray) -> np.ndarray:
    """This process's rows, of those or of all N."""
    first, end = self._own_rows
    return embeddings if len(embeddings) == end - first else embeddings[first:end]

  def assign(self, prepared: np.ndarray, step: int) -> None:
    for replica, table in zip(self._here, self.tables):
      first, end = (bound - self._own_rows[0] for bound in self._bounds[replica:replica + 2])
      table.assign(tf.cast(prepared[first:end], table.dtype))
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

  def _on_replicas(self, function, *arguments):
    """Calls it on this replica, or on all if this is none; says if arguments are the same."""
    context = tf.distribute.get_replica_context()
    if context is not None and context.strategy is self._strategy:
      return function(False, *arguments)
    found = self._strategy.run(functools.partial(function, True), args=arguments)
    return tf.nest.map_structure(
        lambda value: self._strategy.experimental_local_results(value)[0], found,
        expand_composites=False)

  def _find(self, same: bool, queries: tf.Tensor, k, banned: tf.Tensor
            ) -> tuple[tf.Tensor, tf.Tensor]:
    context = tf.distribute.get_replica_context()
    table, first = self._own(context)
    size = tf.shape(queries)[0]
    everyone, own = (queries, 0) if same else _gathered(context, queries)
    # Whose rows are banned is the asker's business, so E more are brought.
    wanted = k + tf.shape(banned)[1]
    width = tf.minimum(wanted, table.shape[0])
    scores, rows = self._search(everyone, table, width)
    missing = [[0, 0], [0, wanted - width]]  # of a share of fewer rows
    scores = tf.pad(scores, missing, constant_values=-np.inf)
    rows = tf.pad(rows + first, missing, constant_values=-1)

    def of_own_queries(values: tf.Tensor) -> tf.Tensor:
      """[B or R * B, W] of each replica -> [B, R * W], in the order of the rows."""
      values, _ = _gathered(context, values[tf.newaxis])  # [R, B or R * B, W]
      return tf.reshape(tf.transpose(values[:, own:own + size], [1, 0, 2]), [size, -1])

    return best_of(of_own_queries(scores), of_own_queries(rows), k, banned)

  def _look_up(self, same: bool, rows: tf.Tensor) -> tf.Tensor:
    """Each replica puts in what it holds of all that is asked for."""
    context = tf.distribute.get_replica_context()
    table, first = self._own(context)
    everyone, own = (rows, 0) if same else _gathered(context, rows)
    places = everyone - first
    held = (places >= 0) & (places < table.shape[0])
    found = tf.cast(tf.gather(table, tf.where(held, places, 0)), tf.float32)
    found = context.all_reduce(_SUM, tf.where(held[..., tf.newaxis], found, 0.0))
    return found[own:own + tf.shape(rows)[0]]

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
