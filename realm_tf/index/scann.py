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
_LEAST_ROWS = 16  # that share a code; ScaNN trains on no fewer
# Of rows: ScaNN squares distances in float32, sums them, and aborts the process if that
# gives infinity; rows too small are all the same to it.
_LARGEST_NORM, _SMALLEST_NORM = 1e15, 1e-15


class Searcher(NamedTuple):
  """A ScaNN searcher with the rows that it was made of."""
  scann: object  # None: ScaNN has no use for these rows, which are searched exactly
  rows: np.ndarray  # [N, D]
  recall: float  # K by K against the exact search, on a sample; nan if not measured


def defaults(config: IndexConfig, num_rows: int) -> IndexConfig:
  """Fills in what is 0: about sqrt(N) partitions, of which a fifth is searched.

  What is given may be more than there is, as where documents were deleted: then it is all.
  """
  leaves = min(config.leaves, num_rows) or max(1, round(math.sqrt(num_rows)))
  if num_rows < _LEAST_ROWS_FOR_LEAVES and not config.leaves:
    leaves = 1
  return dataclasses.replace(
      config, leaves=leaves,
      searched_leaves=min(config.searched_leaves, leaves) or max(1, math.ceil(leaves / 5)),
      rescored=min(config.rescored or _RESCORED, num_rows))


class ScannIndex(ExactIndex):
  """Searches approximately; scores, bans and the order of results are exact.

  K rows always come back: where ScaNN finds too few for a query, or has no use for the
  rows (there are hardly any, or their norms are out of the range of its arithmetic), the
  search is exact.
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
      UserError: its recall is less than `min_recall`, or a row is not finite.
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
    scaled, finite = _scaled(queries)
    candidates = self._candidates(scaled, wanted)  # [B, C]
    usable = (candidates >= 0) & finite & tf.reduce_all(
        tf.not_equal(candidates[:, :, None], banned[:, None]), 2)
    # A batch of none may have no candidates either.
    enough = (tf.shape(usable)[1] >= k) & tf.reduce_all(
        tf.reduce_sum(tf.cast(usable, tf.int32), 1) >= k)
    scores, rows = tf.cond(
        enough, lambda: self._rescore(queries, scaled, candidates, usable, k),
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

  def _rescore(self, queries: tf.Tensor, scaled: tf.Tensor, candidates: tf.Tensor,
               usable: tf.Tensor, k) -> tuple[tf.Tensor, tf.Tensor]:
    """The best K of [B, C] candidates, with the scores that the op gives.

    Those near the top by float32 products are scored in double precision. They ascend,
    and `top_k` keeps the order of equals: ties go to the lower row, as in the op.
    """
    rows = tf.maximum(candidates, 0)
    found = tf.gather(self.table, rows)  # [B, C, D]
    scores = tf.matmul(tf.cast(found, tf.float32), scaled[:, :, None])[:, :, 0]
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
    if searcher.scann is None:
      return 1.0
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
    self._state = None
    if searcher is not None:
      self._state = searcher.serialize_to_module()
      tf.raw_ops.DestroyResourceOp(resource=searcher.searcher_handle)
    self._search_batched = scann_ops.scann_search_batched

  def _candidates(self, queries: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    if self._state is None:
      return tf.fill([tf.shape(queries)[0], count], -1)
    # The op makes the searcher when it is first run, and keeps it.
    handle = self._state.recreate_handle()
    rows, scores = self._search_batched(handle, queries, count, count, -1, True)
    return tf.sort(tf.where(tf.math.is_nan(scores), -1, rows), axis=1)


def _outside_graph():
  from scann.scann_ops.py import scann_ops_pybind  # pylint: disable=import-outside-toplevel
  return scann_ops_pybind


def _scaled(queries: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Queries [B, D] as multiples of their largest component, float32; [B, 1]: if finite.

  The order of scores stays, and a product with any rows that ScaNN takes is finite.
  """
  queries = tf.cast(queries, tf.float32)
  scaled = tf.math.divide_no_nan(queries, tf.reduce_max(tf.abs(queries), 1, keepdims=True))
  finite = tf.reduce_all(tf.math.is_finite(scaled), 1, keepdims=True)
  return tf.where(finite, scaled, 0.0), finite


def _has_use_for(rows: np.ndarray, config: IndexConfig) -> bool:
  """Whether ScaNN can do more for these rows than an exact search does."""
  norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
  if not np.isfinite(norms).all():
    raise UserError(f"row {np.argmin(np.isfinite(norms))} of the embeddings is not finite: "
                    "the document tower has diverged; lower the learning rate")
  if len(rows) <= max(config.rescored, _LEAST_ROWS):  # each would be scored anyway
    return False
  typical, largest = np.median(norms[norms > 0] if norms.any() else norms), norms.max()
  if typical >= _SMALLEST_NORM and largest <= _LARGEST_NORM:
    return True
  logging.warning(
      "scann: norms of rows are about %.3g, at most %.3g (row %d); ScaNN computes with "
      "%.0e to %.0e, so the search is exact", typical, largest, norms.argmax(),
      _SMALLEST_NORM, _LARGEST_NORM)
  return False


def _train(scann, rows: np.ndarray, config: IndexConfig):
  """A searcher of one of ScaNN's two modules, which have the same builder.

  None where rows are better searched exactly.
  """
  rows = rows.astype(np.float32)
  if not _has_use_for(rows, config):
    return None
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
  if searcher is None or not len(queries):  # ScaNN refuses a batch of none
    return np.zeros([len(queries), 0], np.int32)
  # What was not found is row 0 with the score NaN.
  rows, scores = searcher.search_batched_parallel(
      np.ascontiguousarray(queries, np.float32), count, count,
      config.searched_leaves if config.leaves > 1 else None)
  return np.sort(np.where(np.isnan(scores), -1, rows.astype(np.int32)), axis=1)
