"""Asynchronous index refresh (REALM, section 3.3), with bounded staleness.

The bound: after `update(step)` returns,

    step - index.step <= max_staleness

or, with `on_stale="warn"`, a warning has been logged instead. `index.step` is the
training step whose weights made the index that is searched now.

With `wait`, training stands still meanwhile. Otherwise one worker thread embeds, and
training goes on. Everything else happens on the trainer's thread, inside `update`:
taking the weights, starting, polling, swapping, and raising what went wrong in the
worker. The index is only swapped between two training steps.
"""

import concurrent.futures
import threading
import time
from typing import Any, Callable, Protocol

import numpy as np

from realm_tf.distribute.processes import SINGLE_PROCESS, SingleProcess
from realm_tf.refresh.freshness import Freshness
from realm_tf.refresh.throttle import Throttle

_POLL_SECONDS = 0.2


class SwappableIndex(Protocol):
  """What is refreshed: a `realm_tf.index.interface.RowIndex`."""

  def prepare(self, embeddings: np.ndarray) -> Any: ...

  def assign(self, prepared: Any, step: int) -> None: ...


class RefreshStopped(Exception):
  """Raised inside the worker when `close` asks it to end."""


class Refresher(Freshness):
  """Keeps an index fresh while its document tower trains.

  Args:
    index: is given each new table by `prepare` on the worker's thread and `assign` on
      the trainer's.
    snapshot: copies the live weights; called on the trainer's thread.
    embed: embeds the corpus with the copied weights, [N, D]; called on the worker's
      thread with `check`, which it calls between batches and which may raise.
    index_step: the step whose weights made the index that is searched when training
      begins.
    refresh_every: steps from the start of one refresh to the start of the next; a
      refresh that takes longer delays the next, so that only one runs at a time.
    max_staleness: the bound; at least `refresh_every`.
    on_stale: "block" waits for the running refresh, "warn" logs and goes on.
    wait: let training wait for every refresh as soon as it is due.
    swap: is given what makes a swap, and calls it; see `monitor.SwapMonitor.swap`.
    stopping: whether training has been asked to stop, so that nobody waits any more.
    processes: the processes that share the index, and so swap at the same steps.
    throttle: by which the worker yields to training; by default it does not.
  """

  def __init__(self, index: SwappableIndex, snapshot: Callable[[], None],
               embed: Callable[[Callable[[int], None]], np.ndarray], *,
               index_step: int, refresh_every: int, max_staleness: int,
               on_stale: str = "block", wait: bool = False,
               swap: Callable[[Callable[[], None]], None] = lambda assign: assign(),
               stopping: Callable[[], bool] = lambda: False,
               processes: SingleProcess = SINGLE_PROCESS,
               throttle: Throttle | None = None):
    if max_staleness < refresh_every:
      raise ValueError(
          f"max_staleness ({max_staleness}) below refresh_every ({refresh_every}) "
          "would stop training at every step to wait for a refresh not yet due")
    super().__init__(index_step, max_staleness, on_stale, processes)
    self._index = index
    self._snapshot = snapshot
    self._embed = embed
    self._refresh_every = refresh_every
    self._wait = wait
    self._around_swap = swap
    self._stopping = stopping
    self._throttle = throttle or Throttle(1.0)
    self._worker = concurrent.futures.ThreadPoolExecutor(1, "index-refresh")
    self._running: concurrent.futures.Future | None = None
    self._started_at = index_step
    self._started_time = time.time()
    self._stop = threading.Event()

  def update(self, step: int) -> bool:
    """To be called before each training step; whether a new index was swapped in."""
    swapped = False
    if self._running and self._processes.all_agree(self._running.done()):
      self._swap()
      swapped = True
    if not self._running and step - self._started_at >= self._refresh_every:
      self._launch(step)
      if self._wait and self._finished():
        self._swap()
        swapped = True
    if self._is_stale(step):
      swapped = self._enforce(step) or swapped
    return swapped

  def close(self) -> None:
    """Stops a running refresh between two batches and joins the thread."""
    self._stop.set()
    self._throttle.hurry()
    self._worker.shutdown(wait=True, cancel_futures=True)
    self._running = None

  def _launch(self, step: int) -> None:
    self._snapshot()
    self._started_at, self._started_time = step, time.time()
    self._throttle.begin()
    self._running = self._worker.submit(self._work)

  def _work(self) -> tuple[Any, float]:
    begun = time.monotonic()

    def check(count: int) -> None:
      if self._stop.is_set():
        raise RefreshStopped()
      self._throttle.rest()

    embeddings = self._embed(check)
    rate = len(embeddings) / max(1e-9, time.monotonic() - begun)
    return self._index.prepare(embeddings), rate

  def _finished(self) -> bool:
    """Waits for the running refresh; false if training was asked to stop meanwhile."""
    begun = time.monotonic()
    assert self._running is not None
    self._throttle.hurry()
    while not self._running.done() and not self._stopping():
      concurrent.futures.wait([self._running], _POLL_SECONDS)
    finished = self._processes.all_agree(self._running.done())
    self.seconds_waited += time.monotonic() - begun
    return finished

  def _swap(self) -> None:
    running, self._running = self._running, None
    assert running is not None
    self._raise_in_all(running.exception())
    prepared, rows_per_second = running.result()
    self._around_swap(lambda: self._index.assign(prepared, self._started_at))
    self._swapped(self._started_at, self._started_time, rows_per_second)

  def _enforce(self, step: int) -> bool:
    """Waits until the bound holds, or warns once per index that it does not."""
    if self._only_warns(step):
      return False
    while self._is_stale(step):
      if not self._running:
        self._launch(step)
      if not self._finished():
        return False
      self._swap()
    return True


class NoRefresh:
  """An index that stays as it is; for the modes "frozen" and "rerank"."""
  swaps = 0

  def __init__(self, index_step: int):
    self.index_step = index_step

  def update(self, step: int) -> bool:
    del step
    return False

  def metrics(self, step: int) -> dict[str, float]:
    return {"index_step": self.index_step, "index_staleness": step - self.index_step,
            "index_swaps": 0}

  def close(self) -> None:
    pass
