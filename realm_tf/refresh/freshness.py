"""How old an index is, and what keeping it fresh has cost: for `Refresher` and `Follower`."""

import time

from absl import logging

from realm_tf.distribute.processes import SingleProcess
from realm_tf.errors import UserError


class Freshness:
  """The staleness bound: step - index_step <= max_staleness.

  Attributes:
    index_step: the training step whose weights made the index.
    swaps: how often it was replaced.
    seconds_waited: by training, for an index.
    rows_per_second: embedded, when the last index was made.
  """

  def __init__(self, index_step: int, max_staleness: int, on_stale: str,
               processes: SingleProcess):
    self._max_staleness, self._on_stale = max_staleness, on_stale
    self._processes = processes
    self._weights_of = time.time()
    self._warned_at: int | None = None
    self.index_step = index_step
    self.swaps = 0
    self.seconds_waited = 0.0
    self.rows_per_second = 0.0

  def staleness(self, step: int) -> int:
    """Steps since the weights that made the index."""
    return step - self.index_step

  def metrics(self, step: int) -> dict[str, float]:
    """For the log: how old the index is, and what keeping it fresh costs."""
    return {"index_step": self.index_step, "index_staleness": self.staleness(step),
            "index_staleness_seconds": time.time() - self._weights_of,
            "index_swaps": self.swaps, "index_rows_per_second": self.rows_per_second,
            "index_seconds_waited": self.seconds_waited}

  def _is_stale(self, step: int) -> bool:
    return self.staleness(step) > self._max_staleness

  def _swapped(self, index_step: int, weights_of: float, rows_per_second: float) -> None:
    """Notes a swap; `weights_of` is when its weights were taken, in Unix seconds."""
    self.index_step, self._weights_of = index_step, weights_of
    self.rows_per_second = rows_per_second
    self.swaps += 1

  def _raise_in_all(self, error: BaseException | None) -> None:
    """Raises what this process's part of an index failed with; or that another's did."""
    if self._processes.all_agree(error is None):
      return
    raise error or UserError("another process could not make its share of the index; its "
                             "own output says why")

  def _only_warns(self, step: int) -> bool:
    """Whether training goes on with a stale index; says so once per index."""
    if self._on_stale != "warn":
      return False
    if self._warned_at != self.index_step:
      logging.warning("index of step %d is %d steps old, more than max_staleness=%d",
                      self.index_step, self.staleness(step), self._max_staleness)
      self._warned_at = self.index_step
    return True
