"""The versions of a run: whenever it changes, another process exports it.

So documents that are added or deleted appear, and a model that was trained further: the
server watches the exports as it watches any others. What an export takes in memory and
time is not the server's; the process that makes it gives way to it.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from typing import Iterator

from absl import logging

from realm_tf import locks, own_processes
from realm_tf.errors import UserError
from realm_tf.server.source import FolderSource, Found
from realm_tf.serving import numbered

# Whose files say what a run answers by: each is put in place whole.
_PARTS = ("config.json", "corpus/manifest.json", "*/done.json",
          "evaluation/calibration*.json")
_RETRY_SECONDS = 30.0
_NICE = 10
_PREFIX, _LOCK, _EXPORTS = "realm-serve-", "lock", "export"  # a temporary folder, and in it
# What is in it, and what `folders` writes beside an export.
_OURS = re.compile(rf"{_LOCK}|{_EXPORTS}|\.{_EXPORTS}\.(lock|[0-9a-f]{{8}}\.(new|old))")
_PATIENCE = 30.0  # seconds that an export has to remove what it has half written
_KEPT = 2  # exports: the one that answers and the one that takes over

State = tuple[tuple[str, int, int, int], ...]


@contextlib.contextmanager
def run_source(run: str | os.PathLike, checkpoint: str = "last") -> Iterator["RunSource"]:
  """A source of a run's versions; their files are removed at the end, and those that a
  server left which was killed."""
  _remove_left()
  with (tempfile.TemporaryDirectory(prefix=_PREFIX) as folder,
        locks.lock(pathlib.Path(folder, _LOCK), folder, "`realm serve`")):
    source = RunSource(
        pathlib.Path(run), pathlib.Path(folder) / _EXPORTS, own_processes.command(
            "realm_tf.cli.main", "export", f"--workdir={run}", "--flavour=native",
            f"--checkpoint={checkpoint}"))
    try:
      yield source
    finally:
      source.close()


def _remove_left() -> None:
  for lock in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
    with contextlib.suppress(UserError, OSError):
      if all(map(_OURS.fullmatch, os.listdir(lock.parent))):  # else it is of something else
        with locks.lock(lock, lock.parent):
          shutil.rmtree(lock.parent, ignore_errors=True)


class RunSource:
  """Exports a run into a folder of its own when it has changed since.

  Args:
    run: its folder.
    exports: where versions are put.
    command: that exports; it is given --output.
  """

  def __init__(self, run: pathlib.Path, exports: pathlib.Path, command: list[str]):
    self._run, self._exports, self._command = run, exports, command
    self._found = FolderSource(exports)
    self._state: State | None = None
    self._exported = False  # whether that was tried
    self._failed = 0.0  # when; 0: the last export is whole
    self._process: subprocess.Popen | None = None
    self._closed = False
    self._starting = threading.Lock()  # nothing is started once `close` has seen what is

  def look(self) -> list[Found]:
    """The versions there are, after an export where one is due.

    Raises:
      UserError: the first one cannot be made.
    """
    state = _state(self._run)
    retry = self._failed and time.monotonic() - self._failed >= _RETRY_SECONDS
    if (state != self._state or retry) and not self._closed:
      self._state = state  # of before: what changes meanwhile is exported next time
      self._export()
    versions = self._found.look()
    for version in versions[_KEPT:]:
      shutil.rmtree(version.folder, ignore_errors=True)
    return versions[:_KEPT]

  def close(self) -> None:
    """Ends an export that is under way; from here on nothing writes any more."""
    with self._starting:
      self._closed, process = True, self._process
    if not process:
      return
    process.terminate()
    try:
      process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()

  def _export(self) -> None:
    with self._starting:
      if self._closed:
        return
      logging.info("%s: has changed, and is exported again" if self._exported else
                   "%s: exporting the model for serving, once; again when the run changes",
                   self._run)
      self._exported = True
      process = self._process = subprocess.Popen(
          [*self._command, f"--output={self._exports}"], stdin=subprocess.DEVNULL,
          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
          start_new_session=True, env=own_processes.environment())
    with contextlib.suppress(OSError):  # it may be gone already
      os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    lines = process.communicate()[1].strip().splitlines()
    code, self._process = process.returncode, None
    self._failed = time.monotonic() if code else 0.0
    if not code or self._closed:
      return
    reason = lines[-1].removeprefix("realm: ") if lines else f"exit code {code}"
    if not numbered.numbered_versions(self._exports):
      raise UserError(reason)
    logging.error("%s: cannot be exported: %s; what answers stays", self._run, reason)


def _state(run: pathlib.Path) -> State:
  stats = []
  for pattern in _PARTS:
    for path in sorted(run.glob(pattern)):
      with contextlib.suppress(OSError):  # gone meanwhile
        stat = path.stat()
        stats.append((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino))
  return tuple(stats)
