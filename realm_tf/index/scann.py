"""An approximate index: ScaNN chooses candidates, which are scored as our op scores.

ScaNN (Guo et al. 2020) looks into the nearest partitions only, and ranks what it finds
there by anisotropic hashing. While training swaps, its searcher lives outside the graph,
which calls it: a swap is one assignment in Python, nothing is traced again and nothing
leaks. (The TensorFlow ops of the `scann` package keep every searcher that they ever made,
and a graph keeps the first that it saw.) `ScannInGraph`, for exports, is never swapped,
and is in the graph.

Shape letters: B batch, K results, C candidates, N rows, D projection, E banned rows.
"""

import abc
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.config import IndexConfig
from realm_tf.errors import UserError
from realm_tf.index import scann_searcher
from realm_tf.index.exact import ExactIndex
from realm_tf.index.interface import QueryModel, RowIndex
from realm_tf.ops.lookup import look_up

_NEAR_THE_TOP = 8  # beyond K: what float32 may have put in the wrong order


class Searcher(NamedTuple):
  """A ScaNN searcher with the rows that it was made of."""
  scann: object  # None: ScaNN has no use for these rows, which are searched exactly
  rows: np.ndarray  # [N, D]
  recall: float  # K by K against the exact search, on a sample; nan if not measured


class _Rescored(ExactIndex):
  """Searches approximately; scores, bans and the order of results are exact.

  K rows always come back: where ScaNN finds too few for a query, or has no use for the
  rows (there are hardly any, or their norms are out of the range of its arithmetic), the
  search is exact.

  Attributes:
    config: see `IndexConfig`, with its zeros filled in once there are rows.
  """
  config: IndexConfig

  @abc.abstractmethod
  def _candidates(self, queries: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Rows that may be among the best `count`, ascending, or -1: [B, C] int32."""

  def search(self, queries: tf.Tensor, k, banned: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, tf.Tensor]:
    queries = tf.stop_gradient(queries)
    if banned is None:
      banned = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
    banned = tf.cast(banned, tf.int32)
    depth = tf.minimum(tf.maximum(self.config.rescored, k + tf.shape(banned)[1]),
                       self.table.shape[0])
    scaled, finite = _scaled(queries)
    candidates = self._candidates(scaled, depth)  # [B, C]
    usable = (candidates >= 0) & finite & tf.reduce_all(
        tf.not_equal(candidates[:, :, None], banned[:, None]), 2)
    # A batch of none may have no candidates either.
    enough = (tf.shape(usable)[1] >= k) & tf.reduce_all(
        tf.reduce_sum(tf.cast(usable, tf.int32), 1) >= k)
    exactly = super().search
    scores, rows = tf.cond(
        enough, lambda: self._rescore(queries, scaled, candidates, usable, k),
        lambda: exactly(queries, k, banned))
    shape = [queries.shape[0], tf.get_static_value(k)]
    return tf.ensure_shape(scores, shape), tf.ensure_shape(rows, shape)

  def _rescore(self, queries: tf.Tensor, scaled: tf.Tensor, candidates: tf.Tensor,
               usable: tf.Tensor, k) -> tuple[tf.Tensor, tf.Tensor]:
    """The best K of [B, C] candidates, with the scores that the op gives.

    Those near the top by float32 products are scored in double precision. They ascend,
    and `top_k` keeps the order of equals: ties go to the lower row, as in the op.
    """
    rows = tf.maximum(candidates, 0)
    vectors = look_up(self.table, rows)  # [B, C, D]
    scores = tf.matmul(tf.cast(vectors, tf.float32), scaled[:, :, None])[:, :, 0]
    scores = tf.where(usable, scores, -np.inf)
    near = tf.minimum(k + _NEAR_THE_TOP, tf.shape(rows)[1])
    near = tf.sort(tf.math.top_k(scores, near).indices, axis=1)
    rows, usable = (tf.gather(t, near, batch_dims=1) for t in (rows, usable))
    vectors = tf.cast(look_up(self.table, rows), tf.float64)
    scores = tf.reduce_sum(vectors * tf.cast(queries, tf.float64)[:, None], 2)
    scores = tf.where(usable, tf.cast(scores, tf.float32), -np.inf)
    best, place = tf.math.top_k(scores, k)
    return best, tf.gather(rows, place, batch_dims=1)

  def is_exact(self) -> bool:
    return False


def _scaled(queries: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Queries [B, D] as multiples of their largest component, float32; [B, 1]: if finite.

  The order of scores stays, and a product with any rows that ScaNN takes is finite.
  """
  queries = tf.cast(queries, tf.float32)
  scaled = tf.math.divide_no_nan(queries, tf.reduce_max(tf.abs(queries), 1, keepdims=True))
  finite = tf.reduce_all(tf.math.is_finite(scaled), 1, keepdims=True)
  return tf.where(finite, scaled, 0.0), finite


class ScannIndex(_Rescored):
  """The approximate index that can be swapped; see `_Rescored`, and docs/index.md."""

  def __init__(self, query_model: QueryModel | None = None, k: int = 10,
               name: str = "scann_index", dtype: tf.DType = tf.float32,
               config: IndexConfig | None = None):
    """Makes an index of no rows; see `RowIndex`.

    Args:
      query_model, k, name, dtype: see there.
      config: partitions and candidates; 0 is replaced as `scann_searcher.defaults` says.
        The attribute may be given another `searched_leaves` between two searches.
    """
    super().__init__(query_model, k, name, dtype)
    self.config = self._asked_for = config or IndexConfig(kind="scann")
    self._made_for: int | None = None  # how many rows
    self._searcher: Searcher | None = None
    self._queries: np.ndarray | None = None

  @classmethod
  def from_config(cls, config: IndexConfig, num_rows: int, dtype: tf.DType,
                  strategy: tf.distribute.Strategy | None = None) -> RowIndex:
    return cls(dtype=dtype, config=config)

  @property
  def recall(self) -> float:
    """Of the searcher that is in use, as measured when it was made."""
    return self._searcher.recall if self._searcher else math.nan

  def facts(self) -> dict[str, float]:
    return {"leaves": self.config.leaves, "searched_leaves": self.config.searched_leaves,
            "rescored": self.config.rescored,
            f"index_recall@{self.config.recall_at}": self.recall}

  def measure_with(self, queries: np.ndarray) -> None:
    """Queries [Q, D] by which each new searcher is measured against `min_recall`."""
    self._queries = queries[:self.config.recall_queries]

  def prepare(self, embeddings: np.ndarray | tf.Tensor) -> Searcher:
    """Trains and measures a searcher.

    Raises:
      UserError: its recall is less than `min_recall`, or a row is not finite.
    """
    rows = np.asarray(embeddings)
    if self._made_for != len(rows):
      self.config = scann_searcher.defaults(self._asked_for, len(rows))
      self._made_for = len(rows)
    from scann.scann_ops.py import scann_ops_pybind  # pylint: disable=import-outside-toplevel
    scann = scann_searcher.train_searcher(scann_ops_pybind, rows, self.config)
    recall = (math.nan if self._queries is None
              else self._measured(scann, rows, self._queries))
    return Searcher(scann, rows, recall)

  def _measured(self, scann: object, rows: np.ndarray, queries: np.ndarray) -> float:
    """The share of the exact top K that is among the candidates; mean over queries."""
    config, k = self.config, min(self.config.recall_at, len(rows))
    recall = 1.0
    if scann is not None:
      exact = ExactIndex(dtype=self.row_dtype)
      exact.assign(rows, 0)
      best = exact.search(tf.constant(queries, tf.float32), k)[1].numpy()
      candidates = scann_searcher.approximate_candidates(scann, queries,
                                                         max(k, config.rescored), config)
      recall = float((best[:, :, None] == candidates[:, None]).any(2).mean())
    logging.info("scann: recall@%d against exact search on %d queries: %.4f "
                 "(%d leaves, %d searched, %d rescored)", config.recall_at,
                 len(queries), recall, config.leaves, config.searched_leaves,
                 config.rescored)
    if recall < config.min_recall:
      raise UserError(
          f"config.index: ScaNN finds {recall:.4f} of the exact top {config.recall_at}, less "
          f"than min_recall={config.min_recall}; raise index.searched_leaves (now "
          f"{config.searched_leaves} of {config.leaves}) or index.rescored (now "
          f"{config.rescored})")
    return recall

  def assign(self, prepared: Any, step: int) -> None:
    if not isinstance(prepared, Searcher):
      prepared = self.prepare(prepared)
    super().assign(prepared.rows, step)
    self._searcher = prepared._replace(rows=prepared.rows[:0])

  def restored(self) -> None:
    """Makes the searcher of the table that a checkpoint brought."""
    self._searcher = self.prepare(self.table.numpy())

  def for_export(self) -> "ScannInGraph":
    return ScannInGraph(self, self.config)

  def _candidates(self, queries: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    candidates = tf.numpy_function(self._find, [queries, count], tf.int32)
    return tf.ensure_shape(candidates, [queries.shape[0], None])

  def _find(self, queries: np.ndarray, count: int) -> np.ndarray:
    assert self._searcher is not None, "assign rows before the first search"
    return scann_searcher.approximate_candidates(self._searcher.scann, queries, int(count),
                                                 self.config)


class ScannInGraph(_Rescored):
  """A ScaNN index that is not swapped, with its searcher in the graph: for a SavedModel.

  It finds what `ScannIndex` does. A process that loads it must have imported
  `scann.scann_ops.py.scann_ops`, which registers ScaNN's ops.
  """

  def __init__(self, index: ExactIndex, config: IndexConfig):
    """Trains a searcher of the rows of `index`, whose table it shares."""
    from scann.scann_ops.py import scann_ops  # pylint: disable=import-outside-toplevel
    super().__init__(index.query_model, index._k, index.name, index.row_dtype)  # pylint: disable=protected-access
    rows = index.table.numpy()
    self._make(index.table.read_value())
    self.identifiers = index.identifiers
    self.step.assign(index.step)
    self.config = scann_searcher.defaults(config, len(rows))
    searcher = scann_searcher.train_searcher(scann_ops, rows, self.config)
    self._state = None
    if searcher is not None:
      self._state = searcher.serialize_to_module()
      tf.raw_ops.DestroyResourceOp(resource=searcher.searcher_handle)
    self._search_batched = scann_ops.scann_search_batched

  def prepare(self, embeddings: np.ndarray | tf.Tensor) -> Any:
    raise TypeError("an index in the graph is not swapped: its searcher is of the rows that "
                    "it was made of; make another one")

  def assign(self, prepared: Any, step: int) -> None:
    self.prepare(prepared)

  def restored(self) -> None:
    self.prepare(self.table)

  def _candidates(self, queries: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    if self._state is None:
      return tf.fill([tf.shape(queries)[0], count], -1)
    # The op makes the searcher when it is first run, and keeps it.
    handle = self._state.recreate_handle()
    rows, scores = self._search_batched(handle, queries, count, count, -1, True)
    return tf.sort(tf.where(tf.math.is_nan(scores), -1, rows), axis=1)
