"""Whole files or none: what is written here is complete or not there at all."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any, Iterator

from realm_tf.errors import UserError

PathLike = str | os.PathLike


def sync(path: PathLike) -> None:
  """Waits until a file, or the names in a folder, are on the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


def replace_folder(new: pathlib.Path, path: pathlib.Path) -> None:
  """Puts `new` at `path`; what was there is removed afterwards.

  The two change places in one system call: killed at any moment, there is a whole
  folder at `path`.
  """
  exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
  if exchange is None:
    raise OSError(errno.ENOSYS, "this system cannot exchange two folders", str(path))
  if exchange(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(path), _RENAME_EXCHANGE):
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(path))
  sync(path.parent)
  shutil.rmtree(new)


@contextlib.contextmanager
def new_file(path: PathLike, mode: str = "wb") -> Iterator[Any]:
  """Opens a temporary neighbour of `path`, which takes its place on success.

  On any error, a full disk among them, the file that was there before stays.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  encoding = None if "b" in mode else "utf-8"
  temporary = tempfile.NamedTemporaryFile(
      mode, encoding=encoding, dir=path.parent, prefix=f".{path.name}.", delete=False)
  try:
    with temporary as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.chmod(temporary.name, 0o644)
    os.replace(temporary.name, path)
    sync(path.parent)
  except BaseException:
    pathlib.Path(temporary.name).unlink(missing_ok=True)
    raise


@contextlib.contextmanager
def new_folder(path: PathLike) -> Iterator[pathlib.Path]:
  """Yields a temporary folder that becomes `path` when all is written.

  Files in it are synced before the rename. An older folder at `path` stays
  until then, and stays for good if anything fails.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
  try:
    yield temporary
    for entry in sorted(temporary.rglob("*")):
      sync(entry)
    sync(temporary)
    os.chmod(temporary, 0o755)
    if path.exists():
      replace_folder(temporary, path)
    else:
      os.replace(temporary, path)
      sync(path.parent)
  except BaseException:
    shutil.rmtree(temporary, ignore_errors=True)
    raise


@contextlib.contextmanager
def lock(path: PathLike, what: str, wait: bool = True) -> Iterator[None]:
  """Holds a lock file; the system frees it when the process ends, however it ends.

  Args:
    path: of the lock file, which stays; it names the process that holds it.
    what: who else may hold it, for people: "another `realm refresh`".
    wait: until it is free; else a `UserError` names the holder.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, "a+", encoding="utf-8") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
      file.seek(0)
      raise UserError(f"{path.parent}: {what} (process {file.read().strip() or '?'}) is "
                      "writing here; wait until it is done, or end it") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    yield


def link(source: PathLike, target: PathLike) -> None:
  """A second name for a file that is never changed; a copy where links are not known."""
  try:
    os.link(source, target)
  except OSError as error:
    if error.errno not in (errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK):
      raise
    shutil.copyfile(source, target)


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
  value = read_json(path)
  if (not isinstance(value, dict)
      or value.pop("checksum", None) != _checksum(value)):
    raise UserError(f"{path}: damaged: its fields are not those that were written")
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
