"""What the files hold that settings name: one that only moved is the same, one whose contents
changed is not, whatever it is called."""

import functools
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from realm_tf import files


def fingerprint(path: files.PathLike, recorded: Mapping[str, Any] | None = None
                ) -> dict[str, Any] | None:
  """Of a file, or of all in a folder: their size, a hash of contents, and by which sizes and
  times of change it is seen that nobody wrote to them since.

  Args:
    path: of a file or folder; of a folder hidden files do not count, and names do.
    recorded: of before; where nobody wrote since, its hash is taken over, and nothing read.

  Returns:
    None where nothing can be compared: there is nothing, or a pipe.
  """
  try:
    listed = [(name, status.st_size, status.st_mtime_ns)
              for name, _, status in _inner_files(path)]
    stamp = _digest(listed)
    if recorded and recorded["stamp"] == stamp:
      return dict(recorded)
    return {"bytes": sum(size for _, size, _ in listed), "stamp": stamp,
            "sha256": _contents(os.path.abspath(path), stamp)} if listed else None
  except OSError:
    return None


def is_same(path: files.PathLike, recorded: Mapping[str, Any]) -> bool | None:
  """Whether a path leads to what was recorded of some path; None where nobody can tell."""
  now = fingerprint(path, recorded)
  return None if now is None else now["sha256"] == recorded["sha256"]


def _inner_files(path: files.PathLike) -> Iterator[tuple[str, str, os.stat_result]]:
  """The regular files in an order of their own: name below `path`, path, status."""
  top = os.fspath(path)
  if stat.S_ISREG(os.stat(top).st_mode):
    yield "", top, os.stat(top)
  for folder, inner, names in os.walk(top):
    inner[:] = sorted(name for name in inner if not name.startswith("."))
    for file in (os.path.join(folder, name) for name in sorted(names) if name[0] != "."):
      if os.path.isfile(file):  # and no link that leads nowhere
        yield os.path.relpath(file, top), file, os.stat(file)


@functools.lru_cache
def _contents(path: str, stamp: str) -> str:
  del stamp  # by which it is known again
  return _digest([(name, files.sha256(file)) for name, file, _ in _inner_files(path)])


def _digest(value: Any) -> str:
  return hashlib.sha256(json.dumps(value).encode("utf-8", "surrogateescape")).hexdigest()
