"""What a reading left out: how many by which reason, and each of them by name."""

import collections
import json
from typing import Any, TextIO

from absl import logging

from realm_tf.files import PathLike

BLANK = "text is empty or blank"
_SHOWN = 3


class ReadingReport:
  """Counts what is skipped, which could not be read, and what a rule leaves out.

  Attributes:
    counts: by the name of a kind, of what was dropped from documents: "templates".
  """

  def __init__(self, file: TextIO | None = None, numbers: bool = True):
    """Args:
      file: gets a JSON line for each, with `reason`, `name` and `detail`.
      numbers: whether documents without an id may be called by their numbers.
    """
    self._file, self.numbers = file, numbers
    self._skipped: collections.Counter[str] = collections.Counter()
    self._left_out: collections.Counter[str] = collections.Counter()
    self._first: dict[str, list[str]] = collections.defaultdict(list)
    self.counts: dict[str, collections.Counter[str]] = collections.defaultdict(
        collections.Counter)

  def skip(self, reason: str, name: str, shown: str, detail: str = "") -> None:
    """Notes a document that could not be read; `shown` is its name for people."""
    self._skipped[reason] += 1
    if len(self._first[reason]) < _SHOWN:
      self._first[reason].append(shown)
    self._write(reason, name, detail)

  def leave_out(self, reason: str, name: str, detail: str = "") -> None:
    self._left_out[reason] += 1
    self._write(reason, name, detail)

  def _write(self, reason: str, name: str, detail: str = "") -> None:
    if self._file:
      row = {"reason": reason, "name": name, **({"detail": detail} if detail else {})}
      self._file.write(json.dumps(row) + "\n")

  def is_empty(self) -> bool:
    return not self._skipped and not self._left_out

  def named(self, reason: str) -> str:
    """The first few that were skipped for a reason, and how many more; may be empty."""
    first = self._first.get(reason, [])
    more = self._skipped[reason] - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")

  def reasons(self) -> list[str]:
    """How many by which reason, in words."""
    skipped = [f"the text of {self.named(reason)} is blank" if reason == BLANK else
               f"{reason}: {self.named(reason)}" for reason, _ in self._skipped.most_common()]
    return skipped + [f"{count} {reason}" for reason, count in self._left_out.most_common()]

  def summary(self, documents: int) -> dict[str, Any]:
    """All counts, as JSON holds them; `documents` is their number."""
    return {"documents": documents, "skipped": dict(self._skipped.most_common()),
            "left_out": dict(self._left_out.most_common()),
            **{f"dropped_{kind}": dict(counts.most_common())
               for kind, counts in self.counts.items()}}

  def log(self, path: PathLike, documents: int) -> None:
    """Says what was skipped, as a warning, and what a rule left out."""
    total = documents + sum(self._skipped.values())
    for reason, count in self._skipped.most_common():
      if documents:
        why = f", for their {reason}" if reason == BLANK else f" ({reason})"
        logging.warning("%s: %d of %d documents passed over%s: %s; --strict refuses them",
                        path, count, total, why, self.named(reason))
    for reason, count in self._left_out.most_common():
      logging.info("%s: left out: %d %s", path, count, reason)
