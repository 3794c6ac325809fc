"""Requests that come together are run together: a queue, and threads that run the model."""

import collections
import concurrent.futures
import dataclasses
import threading
import time
from typing import Any, Callable, Hashable

from realm_tf.server.server_settings import Batching
from realm_tf.server.statuses import Refused

# Payloads of some tasks -> the result of each.
RunAll = Callable[[list[Any]], list[Any]]


@dataclasses.dataclass(eq=False)
class _Task:
  key: Hashable
  rows: int
  payload: Any
  run: RunAll
  arrived: float
  future: concurrent.futures.Future


class Batcher:
  """Runs tasks of one key together, in the order of the oldest of them.

  Args:
    settings: see there.
    on_batch: is told the rows of each batch before it runs.
  """

  def __init__(self, settings: Batching, on_batch: Callable[[int], None] = lambda rows: None):
    self._settings, self._on_batch = settings, on_batch
    self._tasks: collections.deque[_Task] = collections.deque()
    self._changed = threading.Condition()
    self._closed = False
    self._threads = [threading.Thread(target=self._work, name=f"batches-{i}", daemon=True)
                     for i in range(settings.num_batch_threads)]
    for thread in self._threads:
      thread.start()

  @property
  def waiting(self) -> int:
    """Rows that wait to be run."""
    with self._changed:
      return sum(task.rows for task in self._tasks)

  def submit(self, key: Hashable, rows: int, payload: Any, run: RunAll
             ) -> concurrent.futures.Future:
    """The result of a task; cancelling it before it runs leaves it out.

    Args:
      key: tasks of equal keys may run together.
      rows: how much of a batch it takes.
      payload: what is given to `run`.
      run: payloads of such tasks -> their results. Where it fails for several, each is
        run alone: no task fails by another's fault.

    Raises:
      Refused: the queue is full, or the server stops.
    """
    task = _Task(key, rows, payload, run, time.monotonic(), concurrent.futures.Future())
    room = self._settings.max_batch_size * self._settings.max_enqueued_batches
    with self._changed:
      if self._closed:
        raise Refused("UNAVAILABLE", "The server is stopping")
      if self._tasks and sum(waiting.rows for waiting in self._tasks) + rows > room:
        raise Refused("RESOURCE_EXHAUSTED", "The batch scheduling queue to which this task "
                      "was submitted is full", headers={"retry-after": "1"})
      self._tasks.append(task)
      self._changed.notify_all()
    return task.future

  def close(self) -> None:
    """Takes no more; returns when all that was taken has been run."""
    with self._changed:
      self._closed = True
      self._changed.notify_all()
    for thread in self._threads:
      thread.join()

  def _work(self) -> None:
    while self._step():
      pass

  def _step(self) -> bool:
    """Runs a batch; false when there are no more. It keeps nothing: what a batch held, a
    model among it, is free when it is done."""
    batch = self._next()
    running = [task for task in batch if task.future.set_running_or_notify_cancel()]
    if running:
      self._on_batch(sum(task.rows for task in running))
      _run(running)
    return bool(batch)

  def _next(self) -> list[_Task]:
    with self._changed:
      while not self._tasks and not self._closed:
        self._changed.wait()
      if not self._tasks:
        return []
      batch = [self._tasks.popleft()]
      until = batch[0].arrived + self._settings.batch_timeout_micros / 1e6
      while True:
        full = self._fill(batch)
        seconds_left = until - time.monotonic()
        if full or seconds_left <= 0 or self._closed:
          return batch
        self._changed.wait(seconds_left)

  def _fill(self, batch: list[_Task]) -> bool:
    """Takes what may run with the first one; whether no more would fit."""
    room = self._settings.max_batch_size - sum(task.rows for task in batch)
    for task in [task for task in self._tasks if task.key == batch[0].key]:
      if task.rows > room:
        return True
      self._tasks.remove(task)
      batch.append(task)
      room -= task.rows
    return room <= 0


def _run(tasks: list[_Task]) -> None:
  try:
    results = tasks[0].run([task.payload for task in tasks])
  except Exception as error:  # pylint: disable=broad-except
    if len(tasks) == 1:
      tasks[0].future.set_exception(error)
      return
    for task in tasks:
      _run([task])
    return
  for task, result in zip(tasks, results, strict=True):
    task.future.set_result(result)
