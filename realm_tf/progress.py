"""Progress with rate and time left: a bar on a terminal, a few lines in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TextIO

import tqdm

_SECONDS_BETWEEN_LINES = 10.0
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit}, {rate_fmt}, {remaining} left{postfix}"
_OPEN_LINE = "{desc}: {n_fmt} {unit}, {rate_fmt}, {elapsed} so far{postfix}"


def progress(
    work: Iterable | int, description: str, unit: str = "step",
    file: TextIO | None = None, done_before: int = 0, slow_start: bool = False
) -> "Progress":
  """Shows how far the work has come, on stderr unless told otherwise.

  Args:
    work: what to iterate over, or the number of units, for `update`.
    description: the words in front.
    unit: what is counted, in the singular.
    file: where to write. What is no terminal gets whole lines, at most one each
      ten seconds, besides the last.
    done_before: how many units were done before, of which the rate knows nothing.
    slow_start: the rate knows nothing of the first `update` either: a first step of
      training holds what is done once, and would promise hours.

  Usage: `for batch in progress(batches, "pretrain"): ...`, or
  `with progress(1000, "pretrain") as bar: bar.update(); bar.postfix(loss=2.5)`.
  """
  return Progress(work, description, unit, file or sys.stderr, done_before, slow_start)


class Progress:
  """Iterable and context manager; made by `progress`."""

  def __init__(self, work: Iterable | int, description: str, unit: str, file: TextIO,
               done_before: int, slow_start: bool):
    self._slow_start = slow_start
    total = work if isinstance(work, int) else None
    iterable = None if isinstance(work, int) else work
    options: dict[str, Any] = {"desc": description, "unit": unit, "total": total,
                               "initial": done_before}
    self._lines: _WholeLines | None = None
    if file.isatty():
      options |= {"unit": f" {unit}", "dynamic_ncols": True, "file": file}
    else:
      has_total = total is not None or hasattr(iterable, "__len__")
      self._lines = _WholeLines(file, self._is_done)
      options |= {
          "bar_format": _LINE if has_total else _OPEN_LINE, "file": self._lines,
          "mininterval": _SECONDS_BETWEEN_LINES, "miniters": 1,
          # A first line at once would say nothing but 0.
          "delay": 1e-9}
    self._bar = tqdm.tqdm(iterable, **options)

  def update(self, count: int = 1) -> None:
    """Counts units as done."""
    bar = self._bar
    if not self._slow_start:
      bar.update(count)
      return
    self._slow_start = False
    bar.initial = bar.last_print_n = bar.n = bar.n + count
    bar.start_t = bar.last_print_t = time.time()
    bar.refresh()

  def postfix(self, **values: Any) -> None:
    """Shows values, such as the loss, behind the rate when it is drawn next."""
    self._bar.set_postfix(values, refresh=False)

  def close(self) -> None:
    """Draws the last state; nothing happens at a second call."""
    self._bar.close()
    if self._lines:
      self._lines.write_last()

  def _is_done(self) -> bool:
    """Whether the state that is drawn now is the last."""
    return self._bar.total is not None and self._bar.n >= self._bar.total

  def __iter__(self) -> Iterator:
    try:
      yield from self._bar
    finally:
      self.close()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_) -> None:
    self.close()


class RestOf:
  """Shows how far work has come of which some was done before: what is left is counted.

  The first call of `add` says how much was done before, the others how much was done since.
  Without any nothing is shown.
  """

  def __init__(self, total: int, description: str, unit: str, file: TextIO | None = None):
    self._total, self._description, self._unit = total, description, unit
    self._file = file
    self._bar: Progress | None = None

  def add(self, count: int) -> None:
    if self._bar:
      self._bar.update(count)
      return
    before = f" ({count} of {self._total} {self._unit}s are there)" if count else ""
    self._bar = progress(self._total - count, self._description + before, self._unit,
                         self._file)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *_) -> None:
    if self._bar:
      self._bar.close()


class _WholeLines:
  """Turns tqdm's redrawing of one line (carriage returns) into lines of a log.

  The last state, which tqdm draws with the last unit and once more at the end, is one line.
  """

  def __init__(self, file: TextIO, is_last: Callable[[], bool]):
    self._file, self._is_last = file, is_last
    self._last = ""

  def write(self, text: str) -> None:
    text = text.strip("\r\n ")
    if text and self._is_last():
      self._last = text
    elif text:
      self._file.write(text + "\n")

  def write_last(self) -> None:
    """At the end; nothing happens at a second call."""
    if self._last:
      self._file.write(self._last + "\n")
      self._last = ""

  def flush(self) -> None:
    self._file.flush()
