"""The versions that lie in a folder: numbered ones in it, or one export that it is itself."""

import os
import pathlib
from typing import NamedTuple

from realm_tf.serving import numbered

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
    if (self.folder / numbered.MODEL_FILE).is_file():
      return [self._alone(mark(self.folder))]
    return [Found(number, path, mark(path))
            for number, path in reversed(numbered.numbered_versions(self.folder).items())
            if number <= _MOST and path.is_dir()]

  def _alone(self, now: Mark) -> Found:
    before = self._single
    if before is None:
      name = self.folder.resolve().name
      number = int(name) if name.isascii() and name.isdecimal() else 1
      self._single = Found(number, self.folder, now)
    elif before.mark != now:
      self._single = Found(before.number + 1, self.folder, now)
    assert self._single is not None
    return self._single


def mark(folder: pathlib.Path) -> Mark:
  """Names, sizes, times and inodes of all files in a folder."""
  stats = []
  for parent, _, names in os.walk(folder):
    for name in names:
      path = os.path.join(parent, name)
      try:
        stat = os.stat(path)
      except OSError:  # gone meanwhile
        continue
      stats.append((os.path.relpath(path, folder), stat.st_size, stat.st_mtime_ns,
                    stat.st_ino))
  return tuple(sorted(stats))
