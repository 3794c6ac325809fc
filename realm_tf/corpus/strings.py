"""Many strings, looked up by row where they lie: in memory, or in a mapped file."""

import collections.abc
from typing import Any, Iterable, Iterator

import numpy as np


class Strings(collections.abc.Sequence):
  """N strings end to end, as `bytes` or, decoded from UTF-8, as `str`.

  An index gives one; a slice, or an array of rows of any shape, an array of objects.

  Args:
    data: [bytes] uint8.
    splits: [N + 1] int64; string i is `data[splits[i]:splits[i + 1]]`.
    decoded: give `str`.
  """

  def __init__(self, data: np.ndarray, splits: np.ndarray, decoded: bool = False):
    self._data, self._splits, self._decoded = data, splits, decoded

  @classmethod
  def of(cls, strings: Iterable[str], decoded: bool = False) -> "Strings":
    """Holds strings in memory."""
    encoded = [string.encode("utf-8") for string in strings]
    return cls(np.frombuffer(b"".join(encoded), np.uint8), np.concatenate(
        [[0], np.cumsum([len(string) for string in encoded], dtype=np.int64)]), decoded)

  def __len__(self) -> int:
    return len(self._splits) - 1

  def __getitem__(self, rows: Any) -> Any:
    if not isinstance(rows, (int, np.integer)):
      chosen = (np.arange(*rows.indices(len(self))) if isinstance(rows, slice)
                else np.asarray(rows))
      if chosen.dtype == bool:
        chosen = np.flatnonzero(chosen)
      strings = np.empty(chosen.shape, object)
      strings.reshape(-1)[:] = [self[int(row)] for row in chosen.ravel()]
      return strings
    if not -len(self) <= rows < len(self):
      raise IndexError(rows)
    row = int(rows) % len(self)
    string = self._data[self._splits[row]:self._splits[row + 1]].tobytes()
    return string.decode("utf-8") if self._decoded else string

  def __iter__(self) -> Iterator[Any]:
    return (self[row] for row in range(len(self)))

  def __eq__(self, other: object) -> bool:
    return (isinstance(other, collections.abc.Sequence) and len(self) == len(other)
            and all(own == its for own, its in zip(self, other)))

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    del copy
    return self[:] if dtype is None else self[:].astype(dtype)

  def tolist(self) -> list[Any]:
    return list(self)
