"""Being asked to stop, by SIGTERM or Ctrl-C, without dying in the middle of a step."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any


class Interrupted(Exception):
  """Training was asked to stop (SIGTERM or Ctrl-C), and its state was saved.

  Attributes:
    number: of the signal.
  """

  def __init__(self, message: str, number: int = signal.SIGTERM):
    super().__init__(message)
    self.number = number


class TrainingStopped(Exception):
  """Raised by a judge or a `before_step` callback that ended early, since the loop is
  `stopping`."""


@contextlib.contextmanager
def answering(stop: Callable[[int, Any], None]) -> Iterator[None]:
  """Has SIGTERM and SIGINT answered by `stop`, and gives them back; in the main thread."""
  before = {number: signal.signal(number, stop)
            for number in (signal.SIGTERM, signal.SIGINT)}
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
  """Collects SIGTERM and SIGINT instead of dying in the middle of a step; says so at once."""
  received: list[int] = []

  def receive(number: int, _: Any) -> None:
    if not received:
      with contextlib.suppress(OSError):  # not by sys.stderr, which may be writing just now
        os.write(2, b"\nstopping as soon as what is begun can be kept ...\n")
    received.append(number)

  with answering(receive):
    yield received
