"""An approximate index: ScaNN chooses candidates, which are scored as our op scores.

ScaNN (Guo et al. 2020) looks into the nearest partitions only, and ranks what it finds
there by anisotropic hashing. While training swaps, its searcher lives outside the graph,
which calls it: a swap is one assignment in Python, nothing is traced again and nothing
leaks. (The TensorFlow ops of the `scann` package keep every searcher that they ever made,
and a graph keeps the first that it saw.) `ScannInGraph`, for exports, is never swapped,
and is in the graph.

Shape letters: B batch, K results, C candidates, N rows, D projection, R banned rows.
"""

import dataclasses
import math
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import IndexConfig
from realm_tf.errors import UserError
from realm_tf.index import top_k
from realm_tf.index.exact import ExactIndex, Search

# Below this many rows partitions cost more than they save: hashing alone is used.
_LEAST_ROWS_FOR_LEAVES = 2000
_RESCORED = 300
_HASHED_DIMENSIONS = 2  # that share a code, ScaNN's advice
_NOISE_THRESHOLD = 0.2  # of the anisotropic loss, ScaNN's advice
_TRAINING_ROWS = 250_000
_NEAR_THE_TOP = 8  # beyond K: what float32 may have put in the wrong order


class Searcher(NamedTuple):
  """A ScaNN searcher with the rows that it was made of."""
  scann: object
  rows: np.ndarray  # [N, D]
  recall: float  # K by K against the exact search, on a sample; nan if not measured


def defaults(config: IndexConfig, num_rows: int) -> IndexConfig:
  """Fills in what is 0: about sqrt(N) partitions, of which a fifth is searched."""
  leaves = config.leaves or max(1, round(math.sqrt(num_rows)))
  if num_rows < _LEAST_ROWS_FOR_LEAVES and not config.leaves:
    leaves = 1
  return dataclasses.replace(
      config, leaves=leaves,
      searched_leaves=config.searched_leaves or max(1, math.ceil(leaves / 5)),
      rescored=min(config.rescored or _RESCORED, num_rows))


class ScannIndex(ExactIndex):
  """Searches approximately; scores, bans and the order of results are exact.

  K rows always come back: a query for which ScaNN finds too few is searched exactly.
  """

  def __init__(self, num_rows: int, size: int, config: IndexConfig,
               dtype: tf.DType = tf.float32, search: Search = top_k.top_k_inner_product,
               k: int = 10, name: str = "scann_index", table: tf.Tensor | None = None):
    """Makes an index of zeros, to be swapped before the first search.

    Args:
      num_rows, size, dtype, search, k, name, table: see `ExactIndex`.
      config: see `IndexConfig`; 0 is replaced as `defaults` says. The attribute `config`
        may be given another `searched_leaves` between two searches.
    """
    super().__init__(num_rows, size, dtype, search, k, name, table)
    self.config = defaults(config, num_rows)
    self._searcher: Searcher | None = None
    self._queries: np.ndarray | None = None

  @property
  def recall(self) -> float:
    """Of the searcher that is in use, as measured when it was made."""
    return self._searcher.recall if self._searcher else math.nan

  def measure_with(self, queries: np.ndarray) -> None:
    """Queries [Q, D] by which each new searcher is measured against `min_recall`."""
    self._queries = queries[:self.config.recall_queries]

  def prepare(self, embeddings: np.ndarray) -> Searcher:
    """Trains and measures a searcher.

    Raises:
      UserError: its recall is less than `min_recall`.
    """
    rows = np.asarray(embeddings)
    searcher = Searcher(_train(_outside_graph(), rows, self.config), rows, math.nan)
    if self._queries is None:
      return searcher
    recall = self._measure(searcher, self._queries)
    logging.info("scann: recall@%d against exact search on %d queries: %.4f "
                 "(%d leaves, %d searched, %d rescored)", self.config.recall_at,
                 len(self._queries), recall, self.config.leaves,
                 self.config.searched_leaves, self.config.rescored)
    if recall < self.config.min_recall:
      raise UserError(
          f"config.index: ScaNN finds {recall:.4f} of the exact top "
          f"{self.config.recall_at}, less than min_recall={self.config.min_recall}; raise "
          f"index.searched_leaves (now {self.config.searched_leaves} of "
          f"{self.config.leaves}) or index.rescored (now {self.config.rescored})")
    return searcher._replace(recall=recall)

  def assign(self, prepared: Searcher | np.ndarray, step: int) -> None:
    if not isinstance(prepared, Searcher):
      prepared = self.prepare(prepared)
    super().assign(prepared.rows, step)
    self._searcher = prepared._replace(rows=prepared.rows[:0])

  def restored(self) -> None:
    """Makes the searcher of the table that a checkpoint brought."""
    self._searcher = self.prepare(self.table.numpy())

  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    queries = tf.stop_gradient(queries)
    if banned is None:
      banned = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
    banned = tf.cast(banned, tf.int32)
    wanted = tf.minimum(tf.maximum(self.config.rescored, k + tf.shape(banned)[1]),
                        self.table.shape[0])
    candidates = self._candidates(queries, wanted)  # [B, C]
    usable = (candidates >= 0) & tf.reduce_all(
        candidates[:, :, None] != banned[:, None], 2)
    enough = tf.reduce_all(tf.reduce_sum(tf.cast(usable, tf.int32), 1) >= k)
    scores, rows = tf.cond(
        enough, lambda: self._rescore(queries, candidates, usable, k),
        lambda: self._search(queries, self.table, k, banned))
    shape = [queries.shape[0], tf.get_static_value(k)]
    return tf.ensure_shape(scores, shape), tf.ensure_shape(rows, shape)

  def is_exact(self) -> bool:
    return False

  def _candidates(self, queries: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """ScaNN's candidates, ascending: [B, C] int32, -1 where it found no more."""
    found = tf.numpy_function(self._find, [queries, count], tf.int32)
    return tf.ensure_shape(found, [queries.shape[0], None])

  def _find(self, queries: np.ndarray, count: int) -> np.ndarray:
    assert self._searcher is not None, "assign rows before the first search"
    return _found(self._searcher.scann, queries, int(count), self.config)

  def _rescore(self, queries: tf.Tensor, candidates: tf.Tensor, usable: tf.Tensor, k
               ) -> tuple[tf.Tensor, tf.Tensor]:
    """The best K of [B, C] candidates, with the scores that the op gives.

    Those near the top by float32 products are scored in double precision. They ascend,
    and `top_k` keeps the order of equals: ties go to the lower row, as in the op.
    """
    rows = tf.maximum(candidates, 0)
    found = tf.gather(self.table, rows)  # [B, C, D]
    wide = tf.cast(queries, tf.float32)[:, :, None]
    scores = tf.matmul(tf.cast(found, tf.float32), wide)[:, :, 0]
    scores = tf.where(usable, scores, -np.inf)
    near = tf.minimum(k + _NEAR_THE_TOP, tf.shape(rows)[1])
    near = tf.sort(tf.math.top_k(scores, near).indices, axis=1)
    rows, usable = (tf.gather(t, near, batch_dims=1) for t in (rows, usable))
    found = tf.cast(tf.gather(self.table, rows), tf.float64)
    scores = tf.reduce_sum(found * tf.cast(queries, tf.float64)[:, None], 2)
    scores = tf.where(usable, tf.cast(scores, tf.float32), -np.inf)
    best, place = tf.math.top_k(scores, k)
    return best, tf.gather(rows, place, batch_dims=1)

  def _measure(self, searcher: Searcher, queries: np.ndarray) -> float:
    """The share of the exact top K that is among the candidates; mean over queries."""
    k = min(self.config.recall_at, len(searcher.rows))
    table = tf.cast(searcher.rows, self.table.dtype)
    exact = self._search(tf.constant(queries, tf.float32), table, k)[1].numpy()
    found = _found(searcher.scann, queries, max(k, self.config.rescored), self.config)
    hits = (exact[:, :, None] == found[:, None]).any(2)
    return float(hits.mean())


class ScannInGraph(ScannIndex):
  """A ScaNN index that is not swapped, with its searcher in the graph: for a SavedModel.

  It finds what `ScannIndex` does. A process that loads it must have imported
  `scann.scann_ops.py.scann_ops`, which registers ScaNN's ops.
  """

  def __init__(self, index: ExactIndex, config: IndexConfig, search: Search):
    """Trains a searcher of the rows of `index`, whose table it shares."""
    from scann.scann_ops.py import scann_ops  # pylint: disable=import-outside-toplevel
    rows, size = index.table.shape
    super().__init__(rows, size, config, index.table.dtype, search,
                     table=index.table.read_value())
    self.step.assign(index.step)
    searcher = _train(scann_ops, index.table.numpy(), self.config)
    self._state = searcher.serialize_to_module()
    tf.raw_ops.DestroyResourceOp(resource=searcher.searcher_handle)
    self._search_batched = scann_ops.scann_search_batched

  def _candidates(self, queries: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    # The op makes the searcher when it is first run, and keeps it.
    handle = self._state.recreate_handle()
    rows, scores = self._search_batched(handle, queries, count, count, -1, True)
    return tf.sort(tf.where(tf.math.is_nan(scores), -1, rows), axis=1)


def _outside_graph():
  from scann.scann_ops.py import scann_ops_pybind  # pylint: disable=import-outside-toplevel
  return scann_ops_pybind


def _train(scann, rows: np.ndarray, config: IndexConfig):
  """A searcher of one of ScaNN's two modules, which have the same builder."""
  rows = rows.astype(np.float32)
  sample, threads = min(len(rows), _TRAINING_ROWS), os.cpu_count() or 1
  builder = scann.builder(rows, config.rescored, "dot_product")
  if config.leaves > 1:
    builder = builder.tree(config.leaves, config.searched_leaves,
                           training_sample_size=sample)
  builder = builder.score_ah(
      min(_HASHED_DIMENSIONS, rows.shape[1]), training_sample_size=sample,
      anisotropic_quantization_threshold=_NOISE_THRESHOLD)
  searcher = builder.set_n_training_threads(threads).build()
  if hasattr(searcher, "set_num_threads"):
    searcher.set_num_threads(threads)
  return searcher


def _found(searcher, queries: np.ndarray, count: int, config: IndexConfig) -> np.ndarray:
  # What was not found is row 0 with the score NaN.
  rows, scores = searcher.search_batched_parallel(
      np.ascontiguousarray(queries, np.float32), count, count,
      config.searched_leaves if config.leaves > 1 else None)
  return np.sort(np.where(np.isnan(scores), -1, rows.astype(np.int32)), axis=1)
