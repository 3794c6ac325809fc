"""Records on the disk by the bucket: sorting more than fits in memory, a bucket at a time."""

import pathlib
from typing import Iterator

import numpy as np


class Buckets:
  """`count` files of records, in the order in which they came.

  Args:
    folder: an own one, which is there.
    count: of buckets.
    dtype: of a record.
  """

  def __init__(self, folder: pathlib.Path, count: int, dtype: np.dtype):
    self._paths = [folder / f"{number:06d}" for number in range(count)]
    self._dtype = dtype

  def append(self, buckets: np.ndarray, records: np.ndarray) -> None:
    """Adds records [n], each to the bucket of its number."""
    order = np.argsort(buckets, kind="stable")
    numbers, first = np.unique(buckets[order], return_index=True)
    for number, part in zip(numbers, np.split(records[order], first[1:])):
      with open(self._paths[number], "ab") as file:
        file.write(np.ascontiguousarray(part, self._dtype).tobytes())

  def __len__(self) -> int:
    return len(self._paths)

  def __getitem__(self, number: int) -> np.ndarray:
    """The records of a bucket."""
    path = self._paths[number]
    return np.fromfile(path, self._dtype) if path.exists() else np.zeros(0, self._dtype)

  def __iter__(self) -> Iterator[np.ndarray]:
    """The records of each bucket."""
    return (self[number] for number in range(len(self)))
