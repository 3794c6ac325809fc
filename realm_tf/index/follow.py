"""The trainer's side of a refresh job: swaps in the newest complete version.

The law of staleness is that of `realm_tf.index.refresh`. Nothing here writes.
"""

import pathlib
import time
from typing import Callable, Mapping

import numpy as np
from absl import logging

from realm_tf.errors import UserError
from realm_tf.index import store
from realm_tf.index.freshness import Freshness
from realm_tf.index.interface import RowIndex

_REMIND_SECONDS = 30.0


class Follower(Freshness):
  """Keeps an index as fresh as the versions that `realm refresh` commits.

  Args:
    index: is given each new version.
    root: where versions appear.
    corpus_rows: see `Corpus.rows_by_hash`.
    keep: the rows of a version that are searched: `Corpus.stored_rows`.
    max_staleness: the law.
    on_stale: "block" waits for a version that is fresh enough, "warn" goes on.
    swap: see `Refresher`.
    stopping: see `Refresher`.
    look_every: seconds between two looks at the folder.
    sleep: `time.sleep`, or a test's own.
  """

  def __init__(self, index: RowIndex, root: pathlib.Path, corpus_rows: Mapping[str, int],
               keep: np.ndarray, *, max_staleness: int, on_stale: str = "block",
               swap: Callable[[Callable[[], None]], None] = lambda assign: assign(),
               stopping: Callable[[], bool] = lambda: False, look_every: float = 1.0,
               sleep: Callable[[float], None] = time.sleep):
    super().__init__(int(index.step), max_staleness, on_stale)
    self._index, self._root = index, root
    self._corpus_rows, self._keep = corpus_rows, keep
    self._swap, self._stopping, self._sleep = swap, stopping, sleep
    self._look_every = look_every
    self._looked = -np.inf

  def update(self, step: int) -> bool:
    """To be called before each training step; whether a new index was swapped in."""
    swapped = False
    if time.monotonic() - self._looked >= self._look_every:
      swapped = self._look(step)
    if self._is_stale(step):
      swapped = self._enforce(step) or swapped
    return swapped

  def close(self) -> None:
    """Nothing runs here that would have to end."""

  def _look(self, step: int) -> bool:
    self._looked = time.monotonic()
    found = store.find(self._root, self._corpus_rows, after_step=self.index_step,
                       up_to_step=step)
    if not found:
      return False
    try:
      prepared = self._index.prepare(found.read(self._keep))
    except UserError:
      if found.folder.exists():
        raise
      return False  # a newer one has taken its place: the next look finds that
    self._swap(lambda: self._index.assign(prepared, found.origin.step))
    self._swapped(found.origin.step, found.facts.get("weights_of", time.time()),
                  found.facts.get("rows_per_second", 0.0))
    return True

  def _enforce(self, step: int) -> bool:
    if self._only_warns(step):
      return False
    begun, reminded = time.monotonic(), -np.inf
    swapped = False
    while self._is_stale(step) and not self._stopping():
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
