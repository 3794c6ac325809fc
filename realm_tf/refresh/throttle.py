"""How a worker that shares the trainer's processors yields to it."""

import threading
import time
from typing import Callable


class Throttle:
  """Lets a worker rest between its batches, so that it works a share of the time.

  The batches of a thread go through the same pools of threads as the trainer's
  operations, so it cannot have a lower priority in them; it can be absent. It does not
  rest while training waits for it.

  Args:
    share: of the time, up to 1.
    clock: seconds.
    wait: waits so many seconds or until the event is set.
  """

  def __init__(self, share: float, clock: Callable[[], float] = time.monotonic,
               wait: Callable[[threading.Event, float], bool] = threading.Event.wait):
    self._rest_per_work = 1 / share - 1
    self._clock, self._wait = clock, wait
    self._hurry = threading.Event()
    self._since = clock()

  def begin(self) -> None:
    """The worker starts, and nobody waits for it."""
    self._hurry.clear()
    self._since = self._clock()

  def rest(self) -> None:
    """Called by the worker after each batch."""
    self._wait(self._hurry, (self._clock() - self._since) * self._rest_per_work)
    self._since = self._clock()

  def hurry(self) -> None:
    """Someone waits for the worker: no more rests until it begins again."""
    self._hurry.set()
