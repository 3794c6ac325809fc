"""The trainer's side of a refresh job: swaps in the newest complete version.

The staleness bound is that of `realm_tf.refresh.refresher`. Nothing here writes.
"""

import pathlib
import time
from typing import Any, Callable, Mapping

import numpy as np
from absl import logging

from realm_tf.distribute.processes import SINGLE_PROCESS, SingleProcess
from realm_tf.errors import UserError
from realm_tf.index import stored_index
from realm_tf.index.interface import RowIndex
from realm_tf.refresh.freshness import Freshness

_REMIND_SECONDS = 30.0


class Follower(Freshness):
  """Keeps an index as fresh as the versions that `realm refresh` commits.

  Args:
    index: is given each new version.
    root: where versions appear.
    corpus_rows: see `Corpus.rows_by_hash`.
    keep: the rows of a version that are searched: `Corpus.stored_rows`.
    max_staleness: the bound.
    on_stale: "block" waits for a version that is fresh enough, "warn" goes on.
    swap: see `Refresher`.
    stopping, processes: see `Refresher`. Process 0 says which version all of them take.
    look_every: seconds between two looks at the folder.
    sleep: `time.sleep`, or a test's own.
  """

  def __init__(self, index: RowIndex, root: pathlib.Path, corpus_rows: Mapping[str, int],
               keep: np.ndarray, *, max_staleness: int, on_stale: str = "block",
               swap: Callable[[Callable[[], None]], None] = lambda assign: assign(),
               stopping: Callable[[], bool] = lambda: False, look_every: float = 1.0,
               sleep: Callable[[float], None] = time.sleep,
               processes: SingleProcess = SINGLE_PROCESS):
    super().__init__(int(index.step), max_staleness, on_stale, processes)
    self._index, self._root = index, root
    self._corpus_rows, self._keep = corpus_rows, keep
    self._swap, self._stopping, self._sleep = swap, stopping, sleep
    self._look_every = look_every
    self._looked = -np.inf

  def update(self, step: int) -> bool:
    """To be called before each training step; whether a new index was swapped in."""
    swapped = self._look(step)
    if self._is_stale(step):
      swapped = self._enforce(step) or swapped
    return swapped

  def close(self) -> None:
    """Nothing runs here that would have to end."""

  def _look(self, step: int) -> bool:
    """Swaps in a newer version, if there is one."""
    newest = self._processes.broadcast(self._newest(step))
    if newest <= self.index_step:
      return False
    version = stored_index.find_version(self._root, self._corpus_rows,
                                        after_step=newest - 1, up_to_step=newest)
    prepared, error = self._prepare(version) if version else (None, None)
    self._raise_in_all(error)
    if not self._processes.all_agree(prepared is not None):
      return False  # a newer one has taken its place: the next look finds that
    assert version is not None
    self._swap(lambda: self._index.assign(prepared, newest))
    self._swapped(newest, version.facts.get("weights_of", time.time()),
                  version.facts.get("rows_per_second", 0.0))
    return True

  def _newest(self, step: int) -> int:
    """The step of the newest version that may be used; looks only now and then."""
    if time.monotonic() - self._looked < self._look_every:
      return -1
    self._looked = time.monotonic()
    version = stored_index.find_version(self._root, self._corpus_rows,
                                        after_step=self.index_step, up_to_step=step)
    return version.origin.step if version else -1

  def _prepare(self, version: stored_index.StoredIndex) -> tuple[Any, UserError | None]:
    """What is swapped in, None if it is gone, and what is wrong with it."""
    try:
      return self._index.prepare(version.read(self._keep)), None
    except UserError as error:
      return None, error if version.folder.exists() else None

  def _enforce(self, step: int) -> bool:
    if self._only_warns(step):
      return False
    begun, reminded = time.monotonic(), -np.inf
    swapped = False
    while self._is_stale(step) and self._processes.all_agree(not self._stopping()):
      if self._look(step):
        swapped = True
        continue
      if time.monotonic() - reminded > _REMIND_SECONDS:
        logging.warning("step %d waits for an index of step %d or later in %s: is `realm "
                        "refresh` running?", step, step - self._max_staleness, self._root)
        reminded = time.monotonic()
      self._sleep(min(1.0, self._look_every))
    self.seconds_waited += time.monotonic() - begun
    return swapped
