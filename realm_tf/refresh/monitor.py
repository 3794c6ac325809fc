"""What a swap changed: churn, and what the stale index had been missing.

Shape letters: Q sample queries, K results, D projection.
"""

from typing import Callable

import numpy as np
import tensorflow as tf

from realm_tf.index.interface import RowIndex


def overlap(a: np.ndarray, b: np.ndarray) -> float:
  """The share of rows [Q, K] that both have, query by query."""
  return float((a[:, :, None] == b[:, None]).any(2).mean())


class SwapMonitor:
  """Compares an index with the one that takes its place, on a fixed sample.

  Attributes:
    metrics: of the last swap; empty before the first.
      `index_churn`: what share of the top K changed from one swap to the next, queries
        and documents both as they were embedded then and now.
      `stale_index_recall`: what share of the new index's top K the old one still found,
        with today's queries: what staleness cost just before the swap.
  """

  def __init__(self, index: RowIndex, embed_queries: Callable[[], np.ndarray], k: int):
    """`embed_queries` gives the sample [Q, D] as the query tower is now."""
    self.queries = embed_queries
    self._search = tf.function(lambda queries: index.search(queries, k)[1])
    self._last: np.ndarray | None = None
    self.metrics: dict[str, float] = {}

  def swap(self, assign: Callable[[], None]) -> None:
    """Calls `assign`, which swaps, and measures what that changed."""
    queries = self.queries()
    stale = self._rows(queries)
    assign()
    fresh = self._rows(queries)
    before = stale if self._last is None else self._last
    self.metrics = {"index_churn": 1 - overlap(before, fresh),
                    "stale_index_recall": overlap(fresh, stale)}
    self._last = fresh

  def _rows(self, queries: np.ndarray) -> np.ndarray:
    return self._search(tf.constant(queries)).numpy()
