"""One writer at a time: locks that end with the process that holds them."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import re
import socket
import time
from typing import Iterator, NamedTuple, TextIO

from absl import logging

from realm_tf.errors import UserError

PathLike = str | os.PathLike

# What `flock` says on file systems without locks, such as NFS without its lock daemon.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_LOOK_EVERY = 0.05  # seconds
# What `lock` writes, or what a full disk left of it.
_WHOLE = re.compile(r"(\d+) (\S+) ([^\n]*)\n")
_OURS = re.compile(r"(\d+( [^\n]*\n?)?)?")


@contextlib.contextmanager
def lock(path: PathLike, place: PathLike, work: str = "another process",
         wait: bool = False) -> Iterator[None]:
  """Holds a lock file; the system frees it when the process ends, however it ends.

  The file is removed at the end, under the lock. What a killed process left of it is taken
  over. On a file system without locks only processes of this machine are kept out.

  Args:
    path: of the lock file, which names the process that holds it.
    place: what it stands for, for people.
    work: what this process does there, for those who come meanwhile: "`realm ict`".
    wait: until it is free.

  Raises:
    UserError: another process holds it, and `wait` is false; or a file is there that no
      lock wrote.
    OSError: the file cannot be written.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  while True:
    with open(path, "a+", encoding="utf-8") as file, contextlib.ExitStack() as held:
      if not _taken(file, held, wait):
        file.seek(0)
        other = _parsed(file.read())
        if other:
          raise UserError(f"{place}: {other} is writing here; wait until it is done, or end "
                          "it")
        time.sleep(_LOOK_EVERY)  # it has not yet said who it is
        continue
      if not _is_at(file, path):  # its last holder has removed it meanwhile
        continue
      _check_ours(file, path)
      try:
        file.truncate(0)
        _write(file, f"{os.getpid()} {socket.gethostname()} {work}\n")
        yield
      finally:
        path.unlink(missing_ok=True)
      return


class Holder(NamedTuple):
  """Who wrote a lock file."""
  process: int
  host: str
  work: str

  def __str__(self) -> str:
    where = "" if self.host == socket.gethostname() else f" on {self.host}"
    return f"{self.work} (process {self.process}{where})"


def holder(path: PathLike) -> Holder | None:
  """Who holds a lock file, told without taking it; None for nobody.

  Of another machine nobody can tell: whose file is there is taken to be at work.
  """
  try:
    found = _parsed(pathlib.Path(path).read_text(encoding="utf-8"))
    if found and found.host == socket.gethostname():
      os.kill(found.process, 0)  # sends nothing
  except PermissionError:  # of another user
    pass
  except (OSError, OverflowError, UnicodeDecodeError):
    return None
  return found


def _parsed(text: str) -> Holder | None:
  match = _WHOLE.fullmatch(text)
  return Holder(int(match[1]), match[2], match[3]) if match else None


def _check_ours(file: TextIO, path: pathlib.Path) -> None:
  file.seek(0)
  try:
    ours = _OURS.fullmatch(file.read(1000))
  except UnicodeDecodeError:
    ours = None
  if not ours:
    raise UserError(f"{path}: a lock would be written here, but this file holds something "
                    "else; move it away")


def _taken(file: TextIO, held: contextlib.ExitStack, wait: bool) -> bool:
  try:
    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
  except BlockingIOError:
    return False
  except OSError as error:
    if error.errno not in _NO_LOCKS:
      raise
    logging.log_first_n(logging.WARNING, "%s: this file system has no locks (%s): "
                        "processes that write there on other machines go unnoticed", 1,
                        os.path.dirname(file.name), error.strerror)
    return _taken_here(file.name, held, wait)
  return True


def _taken_here(path: str, held: contextlib.ExitStack, wait: bool) -> bool:
  """Takes a name that this machine's kernel gives to one socket only, while it is open."""
  digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
  while True:
    with contextlib.ExitStack() as opened:
      name_socket = opened.enter_context(socket.socket(socket.AF_UNIX))
      try:
        name_socket.bind(f"\0realm_tf.{digest}")
      except OSError as error:
        if error.errno != errno.EADDRINUSE:
          raise
        if not wait:
          return False
      else:
        held.push(opened.pop_all())
        return True
    time.sleep(_LOOK_EVERY)


def _is_at(file: TextIO, path: pathlib.Path) -> bool:
  try:
    return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
  except FileNotFoundError:
    return False


def _write(file: TextIO, text: str) -> None:
  """At once: nothing is left to be written when the file is closed, and fail again."""
  try:
    os.write(file.fileno(), text.encode())
  except OSError as error:  # which does not know the name
    raise OSError(error.errno, error.strerror, file.name) from error
