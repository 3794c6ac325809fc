"""The versions that lie in a folder: numbered ones in it, or one export that it is itself."""

import os
import pathlib
from typing import NamedTuple

_SAVED_MODEL = "saved_model.pb"
_MOST = 2**63 - 1  # a version's number, as TensorFlow Serving's int64

# Changes when any file of a version does.
Mark = tuple[tuple[str, int, int, int], ...]


class Found(NamedTuple):
  """A version as it lies there."""
  number: int
  folder: pathlib.Path
  mark: Mark


class FolderSource:
  """Finds the versions of a base folder, as TensorFlow Serving does: DIR/1, DIR/2 ...

  A folder that is an export itself is version 1, or what its name says; each time that
  another export takes its place, the number grows by one.
  """

  def __init__(self, folder: str | os.PathLike):
    self.folder = pathlib.Path(folder)
    self._single: Found | None = None

  def look(self) -> list[Found]:
    """All of them, the newest first."""
    if (self.folder / _SAVED_MODEL).is_file():
      return [self._alone(mark(self.folder))]
    found = {}
    for path in sorted(self.folder.iterdir() if self.folder.is_dir() else ()):
      number = _number(path.name)
      if number is not None and path.is_dir():
        found[number] = Found(number, path, mark(path))
    return sorted(found.values(), key=lambda version: version.number, reverse=True)

  def _alone(self, now: Mark) -> Found:
    before = self._single
    if before is None:
      number = _number(self.folder.resolve().name) or 1
      self._single = Found(number, self.folder, now)
    elif before.mark != now:
      self._single = Found(before.number + 1, self.folder, now)
    assert self._single is not None
    return self._single


def _number(name: str) -> int | None:
  if not (name.isascii() and name.isdecimal() and len(name) <= 19):
    return None
  number = int(name)
  return number if number <= _MOST else None


def mark(folder: pathlib.Path) -> Mark:
  """Names, sizes, times and inodes of all files in a folder."""
  found = []
  for parent, _, names in os.walk(folder):
    for name in names:
      path = os.path.join(parent, name)
      try:
        stat = os.stat(path)
      except OSError:  # gone meanwhile
        continue
      found.append((os.path.relpath(path, folder), stat.st_size, stat.st_mtime_ns,
                    stat.st_ino))
  return tuple(sorted(found))
