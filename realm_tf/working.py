"""Folders for what is half done: a command that was killed finds there what it had.

They are known by their names, which a folder of the user's own may have too. So what is in
one must be what the command writes there; and no more than that is ever removed.
"""

import contextlib
import os
import pathlib
import re
import shutil
from typing import NamedTuple

from realm_tf.errors import UserError


class WorkingKind(NamedTuple):
  """How what a command writes into its folder is recognised.

  Attributes:
    work: whose folder it is, for people: "`realm tagger train`".
    names: an expression that the whole name of whatever lies directly in it matches.
    marker: a file that is written first and removed last; "": there is none.
  """
  work: str
  names: str
  marker: str = ""

  def owns(self, name: str) -> bool:
    """Whether it is of this kind, or a temporary file for it that a killed process left."""
    names = rf"{self.names}|{re.escape(self.marker)}" if self.marker else self.names
    return bool(re.fullmatch(rf"(?:{names})|\.(?:{names})\.[0-9a-f]{{8}}\.new", name))


def check_working(folder: pathlib.Path, kind: WorkingKind) -> None:
  """To be called before the folder is written to, or anything in it removed.

  Raises:
    UserError: there is something of another origin; it stays as it is.
  """
  if not os.path.lexists(folder):
    return
  if not folder.is_dir():
    raise UserError(f"{folder}: is a file, where {kind.work} needs a folder; move it away")
  names = sorted(os.listdir(folder))
  strange = [name for name in names if not kind.owns(name)]
  if kind.marker and kind.marker not in names:
    strange += [name for name in names if not name.startswith(".")]
  if strange:
    raise UserError(f"{folder}: is there already, and has '{strange[0]}' in it, which "
                    f"{kind.work} has not written; move it away")


def remove_working(folder: pathlib.Path, kind: WorkingKind) -> None:
  """Removes what is of this kind; and the folder, if nothing else has come into it."""
  names = filter(kind.owns, os.listdir(folder) if folder.is_dir() else ())
  for name in sorted(names, key=lambda name: name == kind.marker):
    path = folder / name
    if path.is_dir() and not path.is_symlink():
      shutil.rmtree(path, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):
        path.unlink()
  with contextlib.suppress(OSError):
    folder.rmdir()
