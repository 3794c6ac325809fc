"""ScaNN's searchers: with how many partitions, of which rows, and what they find.

Shape letters: B batch, C candidates, N rows, D projection.
"""

import dataclasses
import math
import os

import numpy as np
from absl import logging

from realm_tf.config import IndexConfig
from realm_tf.errors import UserError

# Below this many rows partitions cost more than they save: hashing alone is used.
_LEAST_ROWS_FOR_LEAVES = 2000
_RESCORED = 300
_HASHED_DIMENSIONS = 2  # that share a code, ScaNN's advice
_NOISE_THRESHOLD = 0.2  # of the anisotropic loss, ScaNN's advice
_TRAINING_ROWS = 250_000
_LEAST_ROWS = 16  # that share a code; ScaNN trains on no fewer
# Of rows: ScaNN squares distances in float32, sums them, and aborts the process if that
# gives infinity; rows too small are all the same to it.
_LARGEST_NORM, _SMALLEST_NORM = 1e15, 1e-15


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


def train_searcher(scann, rows: np.ndarray, config: IndexConfig):
  """A searcher of rows [N, D] by one of ScaNN's two modules, which have the same builder.

  Args:
    scann: `scann_ops_pybind`, whose searchers are called from Python, or `scann_ops`, whose
      are called from a graph.
    rows: of any dtype of floats.
    config: see `defaults`.

  Returns:
    None where rows are better searched exactly: where each would be scored anyway, or
    their norms are out of the range of ScaNN's arithmetic, of which it warns.

  Raises:
    UserError: a row is not finite.
  """
  rows = rows.astype(np.float32)
  if not _has_use_for(rows, config):
    return None
  sample, threads = min(len(rows), _TRAINING_ROWS), len(os.sched_getaffinity(0))
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


def _has_use_for(rows: np.ndarray, config: IndexConfig) -> bool:
  norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
  if not np.isfinite(norms).all():
    raise UserError(f"row {np.argmin(np.isfinite(norms))} of the embeddings is not finite: "
                    "the document tower has diverged; lower the learning rate")
  if len(rows) <= max(config.rescored, _LEAST_ROWS):
    return False
  typical, largest = np.median(norms[norms > 0] if norms.any() else norms), norms.max()
  if typical >= _SMALLEST_NORM and largest <= _LARGEST_NORM:
    return True
  logging.warning(
      "scann: norms of rows are about %.3g, at most %.3g (row %d); ScaNN computes with "
      "%.0e to %.0e, so the search is exact", typical, largest, norms.argmax(),
      _SMALLEST_NORM, _LARGEST_NORM)
  return False


def approximate_candidates(searcher, queries: np.ndarray, count: int, config: IndexConfig
                           ) -> np.ndarray:
  """Those that a searcher of `scann_ops_pybind` finds for queries [B, D].

  Returns:
    [B, C] int32, ascending, -1 where there are no more. C is 0 without a searcher.
  """
  if searcher is None or not len(queries):  # ScaNN refuses a batch of none
    return np.zeros([len(queries), 0], np.int32)
  # What was not found is row 0 with the score NaN.
  rows, scores = searcher.search_batched_parallel(
      np.ascontiguousarray(queries, np.float32), count, count,
      config.searched_leaves if config.leaves > 1 else None)
  return np.sort(np.where(np.isnan(scores), -1, rows.astype(np.int32)), axis=1)
