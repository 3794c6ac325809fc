"""The files of a folder, in one order, without what is hidden and without following links."""

import os
import pathlib
from typing import Iterator

from realm_tf.corpus.readers.maker import Maker
from realm_tf.errors import UserError

_HIDDEN = (".", "~$", "__MACOSX")  # ~$: what Word keeps of a file that is open


def files_of(path: pathlib.Path, maker: Maker
             ) -> tuple[pathlib.Path, Iterator[pathlib.PurePosixPath]]:
  """A folder and the files in it; for one file, its folder and itself.

  Raises:
    UserError: there is nothing.
  """
  if path.is_dir():
    return path, _walk(path, maker)
  if not path.exists():
    raise UserError(f"{path}: cannot be read (no such file); expected a folder")
  return path.parent, iter([pathlib.PurePosixPath(path.name)])


def _walk(root: pathlib.Path, maker: Maker) -> Iterator[pathlib.PurePosixPath]:
  """Yields the paths of regular files, relative to `root`, sorted within each folder.

  What is hidden is left out, links and what is not to be opened are skipped.

  Raises:
    UserError: `root` itself cannot be read.
  """
  waiting = [(pathlib.PurePosixPath(), True)]
  while waiting:
    name, is_folder = waiting.pop()
    if not is_folder:
      yield name
      continue
    try:
      with os.scandir(root / name) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
      if not name.parts:
        raise UserError(f"{root}: cannot be read ({error.strerror}); expected a folder"
                        ) from None
      maker.skip(name, "folder cannot be read", error.strerror or "")
      continue
    waiting += [(name / entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries if _is_read(entry, name / entry.name, maker)]


def _is_read(entry: os.DirEntry, name: pathlib.PurePosixPath, maker: Maker) -> bool:
  if entry.name.startswith(_HIDDEN):
    maker.leave_out(name, "hidden files and folders")
  elif entry.is_symlink():
    maker.skip(name, "links are not followed", f"to {os.readlink(entry.path)!r}")
  elif not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
    maker.skip(name, "not a regular file")
  else:
    return True
  return False
