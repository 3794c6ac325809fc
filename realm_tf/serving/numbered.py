"""Numbered versions of an export: `OUT/1`, `OUT/2` and so on, TensorFlow Serving's layout.

`OUT` is what a server is given as its base path. A version appears whole or not at all and
is never changed; a server takes the one of the largest number.
"""

import contextlib
import os
import pathlib
from typing import Iterator

from realm_tf import folders
from realm_tf.errors import UserError
from realm_tf.files import PathLike, missing

MODEL_FILE = "saved_model.pb"
MARKER = "realm_export.json"
EXPORT = folders.FolderKind("an export", MARKER, lambda marker: marker["files"])


def numbered_versions(base: PathLike) -> dict[int, pathlib.Path]:
  """What has a number for a name in a folder, by number, ascending; none of no folder."""
  base = pathlib.Path(base)
  names = [name for name in os.listdir(base) if name.isascii() and name.isdecimal()
           ] if base.is_dir() else []
  return {int(name): base / name for name in sorted(names, key=int)}


def newest(path: PathLike) -> pathlib.Path | None:
  """The export at `path`, or the newest version in it; None where there is neither."""
  folders.recover(path)
  candidates = [pathlib.Path(path), *reversed(numbered_versions(path).values())]
  return next((folder for folder in candidates if (folder / MODEL_FILE).exists()), None)


def find(path: PathLike) -> pathlib.Path:
  """As `newest`.

  Raises:
    UserError: there is none.
  """
  folder = newest(path)
  if folder is None:
    raise UserError(f"{path}: {missing(path, 'export')}; `realm export` writes one")
  return folder


@contextlib.contextmanager
def next_version(base: PathLike) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
  """Yields a folder to write into, and where it will be once all is written.

  An export of before there were versions, one that has its files in `base` itself, is
  replaced; nothing else ever is.

  Raises:
    UserError: something else than versions of an export is there, another process is
      writing one, or the disk is full; nothing has changed.
  """
  base = pathlib.Path(base)
  target = base / str(_next_number(base))
  if _is_ready(base):
    with folders.new_folder(target) as new:
      yield new, target
    return
  with folders.new_folder(base, EXPORT) as whole:
    new = whole / target.name
    new.mkdir()
    yield new, target


def _next_number(base: pathlib.Path) -> int:
  if (base / MARKER).exists() and base.name.isdecimal():
    raise UserError(f"{base}: is a version of an export; name the folder that it is in")
  numbers = numbered_versions(base)
  for path in numbers.values():
    if not (path / MARKER).exists():
      raise UserError(f"{base}: has '{path.name}' in it, which is no export; name a new or "
                      "an empty folder, or move it away")
  return max(numbers, default=0) + 1


def _is_ready(base: pathlib.Path) -> bool:
  """Whether a version can be put into it: it has some, or is an empty folder."""
  return bool(numbered_versions(base)) or (base.is_dir() and not any(
      not name.startswith(".") for name in os.listdir(base)))
