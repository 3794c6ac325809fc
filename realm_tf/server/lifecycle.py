"""Which version answers: a new one takes over when it is loaded, warm and found right.

States are those of TensorFlow Serving's model status. Whoever runs a request holds its
version; the old one is freed when nobody does any more.
"""

import threading
import weakref
from typing import Any, Callable, NamedTuple, Protocol

from absl import logging

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.server.memory import give_back
from realm_tf.server.source import Found, Mark
from realm_tf.server.statuses import Refused


class VersionSource(Protocol):
  def look(self) -> list[Found]:
    """The versions that are there, the newest first."""


class Phase(NamedTuple):
  """What is told of a version; error is "" or why it was refused."""
  number: int
  state: str
  error: str = ""


class Lifecycle:
  """Loads versions from a source; only one thread may call `start` and `look`.

  Args:
    source: where versions appear.
    load: makes one of them ready, or raises; is given the one that answers, or None.
    where: for people.
    on_swap: is told the number of each that takes over.
    on_refused: is told the number of each that is refused.
  """

  def __init__(self, source: VersionSource, load: Callable[[Found, Any], Any], where: str,
               on_swap: Callable[[int], None] = lambda number: None,
               on_refused: Callable[[int], None] = lambda number: None):
    self._source, self._load, self._where = source, load, where
    self._on_swap, self._on_refused = on_swap, on_refused
    self._lock = threading.Lock()
    self._current: Any = None
    self._loading: int | None = None
    self._leaving: dict[int, weakref.ref] = {}
    self._refused: dict[int, tuple[Mark, str]] = {}
    self._seen: dict[int, Mark] = {}
    self._has_garbage = False

  @property
  def current(self) -> Any:
    """The version that answers.

    Raises:
      Refused: there is none.
    """
    if self._current is None:
      raise Refused("UNAVAILABLE", "No version of the model is loaded")
    return self._current

  @property
  def is_ready(self) -> bool:
    return self._current is not None

  def start(self) -> None:
    """Loads the newest version that can be.

    Raises:
      UserError: none can.
    """
    versions = self._source.look()
    if not versions:
      raise UserError(f"{self._where}: no export there; `realm export` writes one")
    for version in versions:
      if self._try(version):
        return
    raise UserError(f"{self._where}: {self._refused[versions[0].number][1]}")

  def look(self) -> bool:
    """Whether another version has taken over.

    A version is loaded when two looks have found the same files: what is being copied
    there is waited for. One that was refused is tried again when its files change.
    """
    self._free()
    if self._has_garbage:
      self._has_garbage = False
      give_back()  # models are in cycles
    versions = self._source.look()
    marks, self._seen = self._seen, {version.number: version.mark for version in versions}
    with self._lock:
      for number in self._refused.keys() - self._seen.keys():
        del self._refused[number]
    for version in self._worth_trying(versions):
      if marks.get(version.number) == version.mark and self._try(version):
        return True
    return False

  def _worth_trying(self, versions: list[Found]) -> list[Found]:
    """Newer than the current one; where that is gone, the newest of all."""
    current = self._current
    numbers = [version.number for version in versions]
    least = current.number if current and current.number in numbers else -1
    return [version for version in versions
            if version.number >= least
            and not (current and (current.number, current.mark) == (
                version.number, version.mark))
            and self._refused.get(version.number, ("", ""))[0] != version.mark]

  def _try(self, version: Found) -> bool:
    with self._lock:
      self._loading = version.number
    try:
      loaded = self._load(version, self._current)
    except Exception as error:  # pylint: disable=broad-except
      self._refuse(version, _reason(error))
      return False
    finally:
      self._loading = None
      self._has_garbage = True  # of loading, or of what was refused
    with self._lock:
      old, self._current = self._current, loaded
      self._refused.pop(version.number, None)
      if old is not None:
        self._leaving[id(old)] = weakref.ref(old)
    logging.info("version %d answers now%s", version.number,
                 f", and no longer version {old.number}" if old else "")
    self._on_swap(version.number)
    return True

  def _refuse(self, version: Found, reason: str) -> None:
    with self._lock:
      self._refused[version.number] = (version.mark, reason)
    stays = f"; version {self._current.number} stays" if self._current else ""
    logging.error("version %d is refused: %s%s", version.number, reason, stays)
    self._on_refused(version.number)

  def _free(self) -> None:
    """Forgets versions that are gone; what is left of them is collected at the next look."""
    with self._lock:
      gone = [key for key, old in self._leaving.items() if old() is None]
      for key in gone:
        del self._leaving[key]
        self._has_garbage = True

  def states(self) -> list[Phase]:
    """Of all versions that are known, the newest first."""
    self._free()
    with self._lock:
      phases = [Phase(number, "END", reason) for number, (_, reason) in self._refused.items()]
      leaving = [old() for old in self._leaving.values()]
      phases += [Phase(old.number, "UNLOADING") for old in leaving if old]
      if self._loading is not None:
        phases = [state for state in phases if state.number != self._loading]
        phases.append(Phase(self._loading, "LOADING"))
      if self._current is not None:
        phases = [state for state in phases if state.number != self._current.number]
        phases.append(Phase(self._current.number, "AVAILABLE"))
    return sorted(phases, reverse=True)


def _reason(error: BaseException) -> str:
  message = files.in_one_line(error) or " ".join(str(error).split()) or type(error).__name__
  return message[:500]


class Watcher:
  """A thread that looks for versions every `seconds`."""

  def __init__(self, look: Callable[[], Any], seconds: float):
    self._look, self._seconds = look, seconds
    self._stopped = threading.Event()
    self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)
    self._thread.start()

  def stop(self) -> None:
    """Stops looking; a load under way is not waited for."""
    self._stopped.set()

  def _watch(self) -> None:
    while not self._stopped.wait(self._seconds):
      try:
        self._look()
      except Exception as error:  # pylint: disable=broad-except
        logging.error("looking for versions failed: %s", error)
