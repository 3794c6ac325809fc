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
from realm_tf.index.interface import RowIndex

_REMIND_SECONDS = 30.0


class Follower:
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
    self._index, self._root = index, root
    self._corpus_rows, self._keep = corpus_rows, keep
    self._max_staleness, self._on_stale = max_staleness, on_stale
    self._swap, self._stopping, self._sleep = swap, stopping, sleep
    self._look_every = look_every
    self._looked, self._index_time = -np.inf, time.time()
    self._warned_at: int | None = None
    self.index_step = int(index.step)
    self.swaps = 0
    self.seconds_waited = 0.0
    self.rows_per_second = 0.0

  def update(self, step: int) -> bool:
    """To be called before each training step; whether a new index was swapped in."""
    swapped = False
    if time.monotonic() - self._looked >= self._look_every:
      swapped = self._look(step)
    if step - self.index_step > self._max_staleness:
      swapped = self._enforce(step) or swapped
    return swapped

  def staleness(self, step: int) -> int:
    """Steps since the weights that made the index."""
    return step - self.index_step

  def metrics(self, step: int) -> dict[str, float]:
    """As those of `Refresher`."""
    return {"index_step": self.index_step, "index_staleness": self.staleness(step),
            "index_staleness_seconds": time.time() - self._index_time,
            "index_swaps": self.swaps, "index_rows_per_second": self.rows_per_second,
            "index_seconds_waited": self.seconds_waited}

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
    self.index_step = found.origin.step
    self._index_time = found.facts.get("weights_of", time.time())
    self.rows_per_second = found.facts.get("rows_per_second", 0.0)
    self.swaps += 1
    return True

  def _enforce(self, step: int) -> bool:
    if self._on_stale == "warn":
      if self._warned_at != self.index_step:
        logging.warning("index of step %d is %d steps old, more than max_staleness=%d",
                        self.index_step, self.staleness(step), self._max_staleness)
        self._warned_at = self.index_step
      return False
    begun, reminded = time.monotonic(), -np.inf
    swapped = False
    while step - self.index_step > self._max_staleness and not self._stopping():
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
