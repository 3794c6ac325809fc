"""Rows for approximate indexes, and the index that finds what is right."""

import numpy as np

from realm_tf.index.exact import ExactIndex


def clustered(rows: int, seed: int = 0, size: int = 16, clusters: int = 30) -> np.ndarray:
  """[rows, size] float32 about the same few centres, whatever the seed."""
  centres = 3 * np.random.default_rng(99).normal(size=[clusters, size])
  rng = np.random.default_rng(seed)
  spread = rng.normal(size=[rows, size])
  return (centres[rng.integers(clusters, size=rows)] + spread).astype(np.float32)


def exact_index(table: np.ndarray) -> ExactIndex:
  index = ExactIndex()
  index.assign(table, 0)
  return index
