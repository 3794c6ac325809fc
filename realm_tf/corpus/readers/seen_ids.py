"""Ids of documents that were read, to find one that is there twice; memory stays flat.

The last ones are held; all others are on the disk, in two files without a name, so nothing is
left of them: each id with its place, a line of JSON; and sorted runs of their hashes.
"""

import json
import os
import pathlib
import tempfile
from typing import Any, Iterator, NamedTuple

import numpy as np

from realm_tf.files import PathLike

# Where a document stands: the number of a line, the name of an entry, or a path.
Place = int | str | pathlib.PurePath

_HELD = 1 << 16  # ids in memory, and of a run
_COMPARED = 1 << 20  # hashes at a time, about
_HASHED = np.dtype([("hash", np.uint64), ("at", np.uint64)])  # at: where the line begins


class Repeated(NamedTuple):
  """An id that is there twice, and where."""
  name: str
  place: Place
  first: Place


class SeenIds:
  """Takes ids, and tells whether one came before: at once, or when all have come."""

  def __init__(self, scratch: PathLike | None = None):
    """`scratch` is a folder on a disk with room; by default that for temporary files."""
    self._scratch = None if scratch is None else os.fspath(scratch)
    self._held: dict[str, Place] = {}
    self._lines: Any = None
    self._runs: Any = None
    self._count = 0  # of runs

  def add(self, name: str, place: Place) -> Repeated | None:
    """Takes an id; what it repeats, if that came lately."""
    if name in self._held:
      return Repeated(name, place, self._held[name])
    self._held[name] = place
    if len(self._held) == _HELD:
      self._spill()
    return None

  def repeated(self) -> Repeated | None:
    """Of all ids that came twice the one whose second time was first; None may come more."""
    if not self._count:
      return None  # all are held
    self._spill()
    self._lines.flush()
    self._runs.flush()
    found = min(filter(None, map(self._first_repeated, self._by_hash())), default=None)
    if found is None:
      return None
    (name, place), (_, first) = map(self._entry, found)
    return Repeated(name, place, first)

  def _spill(self) -> None:
    """Puts what is held on the disk."""
    if not self._count:
      self._lines, self._runs = (tempfile.TemporaryFile(dir=self._scratch) for _ in range(2))
    run = np.zeros(_HELD, _HASHED)
    for number, (name, place) in enumerate(self._held.items()):
      run[number] = hash(name) & 0xFFFFFFFFFFFFFFFF, self._lines.tell()
      is_path = isinstance(place, pathlib.PurePath)
      line = [name, str(place) if is_path else place, is_path]
      self._lines.write(json.dumps(line).encode() + b"\n")
    order = np.argsort(run["hash"][:len(self._held)], kind="stable")
    run[order].tofile(self._runs)
    self._held, self._count = {}, self._count + 1

  def _by_hash(self) -> Iterator[np.ndarray]:
    """Records of all runs by ranges of their hashes, sorted by hash and then by time."""
    size = self._runs.tell()
    if not size:
      return
    records = np.memmap(self._runs, _HASHED, "r", shape=(size // _HASHED.itemsize,))
    ranges = -(-len(records) // _COMPARED)
    for number in range(ranges):
      least, most = ((edge << 64) // ranges for edge in (number, number + 1))
      parts = []
      for begin in range(0, len(records), _HELD):
        run = records[begin:begin + _HELD]
        first = np.searchsorted(run["hash"], np.uint64(least))
        parts.append(run[first:np.searchsorted(run["hash"], np.uint64(most - 1), "right")])
      part = np.concatenate(parts)
      yield part[np.lexsort([part["at"], part["hash"]])]

  def _first_repeated(self, part: np.ndarray) -> tuple[int, int] | None:
    """Where the earliest line stands that repeats an id, and where that id was before."""
    same = np.flatnonzero(part["hash"][1:] == part["hash"][:-1]) + 1
    for place in same[np.argsort(part["at"][same])]:
      name, _ = self._entry(part["at"][place])
      # A hash is a hint only: others may have it.
      before = place - 1
      while before >= 0 and part["hash"][before] == part["hash"][place]:
        if self._entry(part["at"][before])[0] == name:
          return int(part["at"][place]), int(part["at"][before])
        before -= 1
    return None

  def _entry(self, at: int) -> tuple[str, Place]:
    self._lines.seek(int(at))
    name, place, is_path = json.loads(self._lines.readline())
    return name, pathlib.PurePosixPath(place) if is_path else place
