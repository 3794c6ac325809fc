"""Whole folders or none, and what a folder that is there may be replaced by.

A folder is written beside its place and then put there. It may take the place of nothing,
of an empty folder, or of an earlier one of its kind in which there is nothing else. Beside
`<folder>` there are, while it is written,

    .<folder>.lock        held by the process that writes it
    .<folder>.<8 hex digits>.new
    .<folder>.<8 hex digits>.old   where two folders cannot be exchanged in one step

and what a killed process left of them is removed by the next that writes there.
"""

import contextlib
import ctypes
import errno
import json
import os
import pathlib
import re
import secrets
import shutil
from typing import Any, Callable, Iterable, Iterator, NamedTuple

from realm_tf import files, locks
from realm_tf.errors import UserError
from realm_tf.files import PathLike

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# What `renameat2` says where it cannot exchange; a sandbox may say EPERM.
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
_NO_RENAME = ("this file system cannot rename that folder, which may be of a lower layer: of "
              "the image of a container")


class FolderKind(NamedTuple):
  """How folders of one kind are recognised.

  Attributes:
    name: for people: "an export".
    marker: name of the JSON file that each of them has.
    files: from the marker's value the names of all other files, relative to the folder.
      Any `LookupError` or `TypeError` means that it is of something else.
  """
  name: str
  marker: str
  files: Callable[[Any], Iterable[str]]


def check_replaceable(path: PathLike, kind: FolderKind | None = None) -> pathlib.Path:
  """Returns where `path` leads, once all links are followed, if it may be replaced.

  Raises:
    UserError: something is there, and it is no earlier folder of this kind; or it cannot
      be replaced in one step.
  """
  target = pathlib.Path(os.path.realpath(path))
  if not os.path.lexists(target):
    if os.path.islink(path) and not target.parent.is_dir():
      raise UserError(f"{path}: a link to {target}, where there is nothing; mend the link")
    return target
  if not target.is_dir():
    raise UserError(f"{path}: is a file; expected the name of a folder")
  if pathlib.Path(os.path.realpath(".")).is_relative_to(target):
    raise UserError(f"{path}: this command runs in that folder, and cannot replace it; "
                    "name another, or run it elsewhere")
  if os.path.ismount(target):
    raise UserError(f"{path}: a mounted volume cannot be replaced; name a folder in it, "
                    f"such as {pathlib.Path(path) / 'new'}")
  stranger = _stranger(target, kind)
  if stranger:
    kind_text = f", which is no part of {kind.name}" if kind else ""
    raise UserError(f"{path}: is there already, and has '{stranger}' in it{kind_text}; name "
                    "a new or an empty folder, or move it away")
  return target


def _stranger(folder: pathlib.Path, kind: FolderKind | None) -> str | None:
  """The name of something in the folder that is no part of one of this kind."""
  listed = _listed(folder, kind) if kind else set()
  if not listed:
    return min(os.listdir(folder), default=None)
  for parent, folders, names in os.walk(folder, onerror=_raise):
    links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
    for name in sorted(names + links):
      relative = os.path.relpath(os.path.join(parent, name), folder)
      if relative not in listed:
        return relative
  return None


def _raise(error: OSError) -> None:
  raise error


def _listed(folder: pathlib.Path, kind: FolderKind) -> set[str]:
  """The files that the marker lists, and itself; none if it is of something else."""
  try:
    marker = json.loads((folder / kind.marker).read_text(encoding="utf-8"))
    return {kind.marker, *kind.files(marker)}
  except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
    return set()


@contextlib.contextmanager
def new_folder(path: PathLike, kind: FolderKind | None = None) -> Iterator[pathlib.Path]:
  """Yields a temporary folder that becomes `path` when all is written.

  An older folder at `path` stays until then, and stays for good if anything fails. A link
  stays a link: the folder that it names is replaced.

  Args:
    path: where the folder is to be; see `check_replaceable`.
    kind: of the folder; without it none is replaced that has anything in it.

  Raises:
    UserError: it may not be written there, another process is writing it, or the disk is
      full; nothing has changed.
  """
  target = check_replaceable(path, kind)
  with contextlib.ExitStack() as held:
    with _unchanged(path, target):
      held.enter_context(_locked(target, path))
      _restore(target)
      _remove_leftovers(target)
      temporary = _beside(target, f"{secrets.token_hex(4)}.new")
      held.callback(_clear, temporary, target)
      temporary.mkdir()
      yield temporary
      for entry in sorted(temporary.rglob("*")):
        files.sync(entry)
      files.sync(temporary)
      check_replaceable(path, kind)  # again: it may be long since
      _put(temporary, target)
    files.sync(target.parent)


@contextlib.contextmanager
def _unchanged(path: PathLike, target: pathlib.Path) -> Iterator[None]:
  """Says in one line that the disk is full, or whatever else the system says of it."""
  try:
    yield
  except Exception as error:
    reason = files.system_reason(error)
    if reason is None or not _is_about(error, target):
      raise
    raise UserError(f"{path}: cannot be written ({reason}); what was there before is "
                    f"unchanged{files.remedy(reason)}") from error


def _is_about(error: Exception, target: pathlib.Path) -> bool:
  """Whether the error concerns the folder that is written, not a file that is read."""
  if not isinstance(error, OSError) or error.filename is None:
    return True
  name = str(error.filename)
  return name == str(target) or name.startswith(str(_beside(target, "")))


def recover(path: PathLike) -> None:
  """To be called before a folder is looked for: it is there, unless it never was.

  Where folders cannot be exchanged there is nothing at `path` for a moment; then this
  waits, or, if the process was killed in that moment, puts back what was there before.
  """
  target = pathlib.Path(os.path.realpath(path))
  if not target.exists() and _leftovers(target, "old"):
    with _locked(target, path, wait=True):
      _restore(target)


def _clear(temporary: pathlib.Path, target: pathlib.Path) -> None:
  """Removes what was not put in place, or what it was exchanged for."""
  # Else `_restore` needs it.
  if target.exists() or not temporary.with_suffix(".old").exists():
    shutil.rmtree(temporary, ignore_errors=True)


def _restore(target: pathlib.Path) -> None:
  for set_aside in _leftovers(target, "old"):
    # Else it was replaced already, and what took its place was moved away since.
    if not target.exists() and set_aside.with_suffix(".new").exists():
      os.rename(set_aside, target)
      files.sync(target.parent)


def _remove_leftovers(target: pathlib.Path) -> None:
  for path in _leftovers(target, "(new|old)"):
    shutil.rmtree(path, ignore_errors=True)


def _leftovers(target: pathlib.Path, ending: str) -> list[pathlib.Path]:
  pattern = rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.{ending}"
  if not target.parent.is_dir():
    return []
  return [target.with_name(name) for name in os.listdir(target.parent)
          if re.fullmatch(pattern, name)]


def _locked(target: pathlib.Path, path: PathLike, wait: bool = False
            ) -> contextlib.AbstractContextManager[None]:
  return locks.lock(_beside(target, "lock"), path, wait=wait)


def _beside(target: pathlib.Path, ending: str) -> pathlib.Path:
  return target.with_name(f".{target.name}.{ending}")


def _put(temporary: pathlib.Path, target: pathlib.Path) -> None:
  """Puts `temporary` at `target`; what was there is afterwards at `temporary`, or gone."""
  try:
    if not target.exists():
      os.rename(temporary, target)
    elif not _exchange(temporary, target):
      _swap(temporary, target)
  except OSError as error:
    if error.errno == errno.EXDEV:
      raise OSError(errno.EXDEV, _NO_RENAME, str(target)) from error
    raise


def _exchange(temporary: pathlib.Path, target: pathlib.Path) -> bool:
  """Lets two folders change places in one system call; false where there is none."""
  rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
  if rename is None:
    return False
  if not rename(_AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(target),
                _RENAME_EXCHANGE):
    return True
  number = ctypes.get_errno()
  if number in _NO_EXCHANGE:
    return False
  raise OSError(number, os.strerror(number), str(target))


def _swap(temporary: pathlib.Path, target: pathlib.Path) -> None:
  """The same in two steps, between which nothing is at `target`: see `recover`."""
  set_aside = temporary.with_suffix(".old")
  try:
    os.rename(target, set_aside)
    files.sync(target.parent)
    os.rename(temporary, target)
  except BaseException:
    if set_aside.exists() and not target.exists():
      os.rename(set_aside, target)
    raise
  shutil.rmtree(set_aside, ignore_errors=True)
