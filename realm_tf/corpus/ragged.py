"""Rows of different lengths as two arrays."""

import dataclasses
from typing import Sequence

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Ragged:
  """N rows of different lengths, end to end.

  Attributes:
    values: int32, all rows.
    splits: `[N + 1]` int64; row i is `values[splits[i]:splits[i + 1]]`.
  """
  values: np.ndarray
  splits: np.ndarray

  def __len__(self) -> int:
    return len(self.splits) - 1

  @property
  def lengths(self) -> np.ndarray:
    """`[N]` int64."""
    return np.diff(self.splits)

  def row(self, i: int) -> np.ndarray:
    """Row i, a view."""
    return self.values[self.splits[i]:self.splits[i + 1]]

  def to_tensor(self) -> tf.RaggedTensor:
    """`[N, (T)]` int32."""
    return tf.RaggedTensor.from_row_splits(self.values, self.splits, validate=False)

  def take(self, kept: np.ndarray) -> "Ragged":
    """The rows that `[N]` bool marks."""
    values = self.values[np.repeat(kept, self.lengths)]
    return Ragged(values, np.concatenate([[0], np.cumsum(self.lengths[kept])]))

  @classmethod
  def concatenate(cls, parts: Sequence["Ragged"]) -> "Ragged":
    lengths = np.concatenate([part.lengths for part in parts])
    return cls(np.concatenate([part.values for part in parts]),
               np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

  @classmethod
  def from_rows(cls, rows: Sequence[np.ndarray]) -> "Ragged":
    lengths = [len(row) for row in rows]
    return cls(np.concatenate([*rows, np.zeros([0], np.int32)]).astype(np.int32),
               np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
