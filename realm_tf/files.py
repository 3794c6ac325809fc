"""Whole files or none: what is written here is complete or not there at all."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
from typing import Any, Iterator

from realm_tf.errors import UserError
from realm_tf.locks import PathLike

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What the system says of a file or a disk, as libraries repeat it in errors of their own.
_WORDS = tuple(map(os.strerror, (
    *_FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ESTALE,
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR)))
_LIBRARIES = ("tensorflow", "safetensors")
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def system_reason(error: BaseException) -> str | None:
  """What the system said of a file or a disk; None for errors of any other kind."""
  if isinstance(error, OSError):
    return error.strerror or str(error)
  if type(error).__module__.split(".")[0] in _LIBRARIES:
    return next((words for words in _WORDS if words in str(error)), None)
  return None


def in_one_line(error: BaseException) -> str | None:
  """`system_reason`, preceded by the name of the file where the error has one."""
  reason = system_reason(error)
  if reason is None:
    return None
  if isinstance(error, OSError):
    return reason if error.filename is None else f"{error.filename}: {reason}"
  # TensorFlow says in front in which node of which graph it happened.
  return " ".join(re.sub(r"\{\{.*?\}\}", "", str(error)).split())[:300]


def remedy(reason: str) -> str:
  """What to do about what the system said, to be put behind it; may be nothing."""
  full = reason in map(os.strerror, _FULL)
  return ": make room, then run the same command" if full else ""


def sync(path: PathLike) -> None:
  """Waits until a file, or the names in a folder, are on the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    _sync(descriptor)
  finally:
    os.close(descriptor)


def _sync(descriptor: int) -> None:
  try:
    os.fsync(descriptor)
  except OSError as error:
    if error.errno not in _NO_SYNC:  # there is no more to be had of this file system
      raise


@contextlib.contextmanager
def new_file(path: PathLike, mode: str = "wb") -> Iterator[Any]:
  """Opens a temporary neighbour of `path`, which takes its place on success.

  On any error, a full disk among them, the file that was there before stays. A link stays
  a link: the file that it names is replaced. Devices and pipes are written as they are. The
  permissions are those that the umask leaves.

  Raises:
    OSError: names `path`; nothing is changed.
  """
  encoding = None if "b" in mode else "utf-8"
  if _is_special(path):
    with open(path, mode, encoding=encoding) as file:
      yield file
    return
  target = pathlib.Path(os.path.realpath(path))
  target.parent.mkdir(parents=True, exist_ok=True)
  remove_leftovers(target.parent, target.name)
  temporary = None
  try:
    temporary, descriptor = _neighbour(target)
    with open(descriptor, mode, encoding=encoding) as file:
      yield file
      file.flush()
      _sync(file.fileno())
      os.replace(temporary, target)
    sync(target.parent)
  except BaseException as error:
    if temporary:
      temporary.unlink(missing_ok=True)
    hidden = str(target.with_name(f".{target.name}."))
    if isinstance(error, OSError) and (
        error.filename is None or str(error.filename).startswith(hidden)):
      error.filename = str(path)
    raise


def _is_special(path: PathLike) -> bool:
  try:
    mode = os.stat(path).st_mode
  except FileNotFoundError:
    return False
  if stat.S_ISDIR(mode):
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
  return not stat.S_ISREG(mode)


def _neighbour(target: pathlib.Path) -> tuple[pathlib.Path, int]:
  """Makes a temporary file beside `target`, locked as long as it is open."""
  while True:
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    if _locked(descriptor) and path.exists():
      return path, descriptor
    os.close(descriptor)  # another process took it for a leftover before it was locked


def _locked(descriptor: int) -> bool:
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:  # there are no locks here, and so nobody removes it
    pass
  return True


def remove_leftovers(folder: pathlib.Path, target: str | None = None) -> None:
  """Removes temporary files whose writers were killed: nobody has locked them.

  Those of the file `target` in the folder, or of any where None.
  """
  pattern = rf"\.{'.+' if target is None else re.escape(target)}\.[0-9a-f]{{8}}\.new"
  for name in os.listdir(folder) if folder.is_dir() else ():
    if re.fullmatch(pattern, name):
      with contextlib.suppress(OSError), open(folder / name, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / name).unlink()


def link_or_copy(source: PathLike, target: PathLike) -> None:
  """A second name for a file that is never changed; a copy where there are no links."""
  try:
    os.link(source, target)
  except FileExistsError:
    raise
  except OSError:
    shutil.copyfile(source, target)
    sync(target)


def sha256(path: PathLike) -> str:
  """The SHA-256 of a file's bytes, in hexadecimal."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: PathLike, value: Any) -> None:
  with new_file(path, "w") as file:
    json.dump(value, file, indent=2, sort_keys=True)
    file.write("\n")


def _checksum(value: dict[str, Any]) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_manifest(path: PathLike, value: dict[str, Any]) -> None:
  """`write_json` with a checksum of all other fields in the field `checksum`."""
  write_json(path, {**value, "checksum": _checksum(value)})


def read_manifest(path: PathLike) -> dict[str, Any]:
  """Reads what `write_manifest` wrote; a changed field is a `UserError`."""
  return checked_manifest(read_json(path), path)


def checked_manifest(value: Any, path: PathLike) -> dict[str, Any]:
  """What `read_json` read from `path`, less its checksum; errors as of `read_manifest`."""
  fields = dict(value) if isinstance(value, dict) else {}
  if fields.pop("checksum", None) != _checksum(fields):
    raise UserError(f"{path}: damaged: its fields are not those that were written")
  return fields


def read_object(path: PathLike) -> dict[str, Any]:
  """As `read_json`, of an object; a file of another value is a `UserError`, too."""
  value = read_json(path)
  if not isinstance(value, dict):
    kind = "null" if value is None else type(value).__name__
    raise UserError(f"{path}: expected a JSON object of fields, got {kind}")
  return value


def read_json(path: PathLike) -> Any:
  """Reads a JSON file; a damaged or missing one is a `UserError` that names it."""
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except FileNotFoundError:
    raise UserError(f"{path}: no such file") from None
  except (UnicodeDecodeError, json.JSONDecodeError) as error:
    raise UserError(f"{path}: not valid JSON ({error})") from None
  except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
    reason = "nested too deep" if isinstance(error, RecursionError) else "a number too long"
    raise UserError(f"{path}: not valid JSON ({reason})") from None


def missing(folder: PathLike, what: str) -> str:
  """What is not there, for an error: the folder itself, or else `what` in it."""
  path = pathlib.Path(folder)
  return (f"no {what} there" if path.is_dir() else
          "not a folder" if path.exists() else "no such folder")
