"""Rows of different lengths as two arrays, which may lie in mapped files."""

import dataclasses
from typing import Sequence

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Ragged:
  """N rows of different lengths, end to end.

  Attributes:
    values: all rows, int32; uint16 where they lie in a file and fit.
    splits: `[N + 1]` int64; row i is `values[splits[i]:splits[i + 1]]`.
    longer: `[N + 2]` int64, `splits` with an empty row more, where a file has it.
  """
  values: np.ndarray
  splits: np.ndarray
  longer: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.splits) - 1

  @property
  def lengths(self) -> np.ndarray:
    """`[N]` int64."""
    return np.diff(self.splits)

  def row(self, i: int) -> np.ndarray:
    """Row i, int32."""
    return self.values[self.splits[i]:self.splits[i + 1]].astype(np.int32, copy=False)

  def part(self, first: int, end: int) -> np.ndarray:
    """The values of rows [first, end), int32."""
    return self.values[self.splits[first]:self.splits[end]].astype(np.int32, copy=False)

  def to_tensor(self) -> tf.RaggedTensor:
    """`[N, (T)]` int32, a copy."""
    return tf.RaggedTensor.from_row_splits(self.values.astype(np.int32, copy=False),
                                           self.splits, validate=False)

  def take(self, mask: np.ndarray) -> "Ragged":
    """The rows that `[N]` bool marks."""
    values = self.values[np.repeat(mask, self.lengths)]
    return Ragged(values, np.concatenate([[0], np.cumsum(self.lengths[mask])]))

  def with_empty_row(self) -> "Ragged":
    """The same rows, and an empty one behind them."""
    return Ragged(self.values, np.append(self.splits, self.splits[-1])
                  if self.longer is None else self.longer)

  @classmethod
  def concatenate(cls, parts: Sequence["Ragged"]) -> "Ragged":
    lengths = np.concatenate([part.lengths for part in parts])
    return cls(np.concatenate([part.values for part in parts]),
               np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

  @classmethod
  def from_rows(cls, rows: Sequence[np.ndarray]) -> "Ragged":
    """Of rows of integers, one-dimensional and of any lengths; its values are int32."""
    lengths = [len(row) for row in rows]
    return cls(np.concatenate([*rows, np.zeros([0], np.int32)]).astype(np.int32),
               np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
