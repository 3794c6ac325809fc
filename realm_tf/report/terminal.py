"""Passages on a terminal: in lines, with the answer marked."""

import re
import textwrap
from collections.abc import Sequence

from realm_tf.text.field_lines import BEGINS

# Stand-ins for the two ends of the mark while lines are broken: one column each,
# and never in a passage, whose control characters are blanked.
_OPEN, _CLOSE = "\x02", "\x03"
_BOLD_INVERSE, _PLAIN = "\x1b[1;7m", "\x1b[0m"
# Could steer the terminal, or turn the direction of what follows.
_STEERING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
# Of a table: readers of documents put bars between its cells, plain text has tabs.
_CELLS = (" | ", "\t")
_BEGINS = re.compile(BEGINS)
_MARKS = re.compile(rf"[{_OPEN}{_CLOSE}]|\[\[|\]\]")


def mark_answer(
    passage: str, start: int, end: int, color: bool, width: int = 88) -> str:
  """The passage, in lines as of `in_lines`, with its answer marked.

  Args:
    passage: the text.
    start: byte offset into its UTF-8 where the answer starts.
    end: byte offset behind the answer; equal to `start` for no answer.
    color: mark by bold and inverse, else by [[ and ]].
    width: of a line, in characters.
  """
  data = passage.encode("utf-8")
  if not 0 <= start <= end <= len(data):
    raise ValueError(f"bytes {start}:{end} are not in a passage of {len(data)} bytes")
  try:
    parts = [data[:start].decode(), data[start:end].decode(), data[end:].decode()]
  except UnicodeDecodeError:
    raise ValueError(f"bytes {start}:{end} cut a character of the passage") from None
  before, answer, after = map(_unsteering, parts)
  opening, closing = (_OPEN, _CLOSE) if color else ("[[", "]]")
  marked = opening + answer + closing if answer else ""
  lines = _wrapped(before + marked + after, width)
  return "\n".join(_colored(lines) if color else lines)


def in_lines(passage: str, width: int) -> list[str]:
  """A passage in lines of at most `width`: of a table one a row, of a list one an item or a
  field (`field_lines`), of a text as they fit.

  Control characters become spaces: a passage must not steer the terminal. Several are one.
  """
  return _wrapped(_unsteering(passage), width)


def _unsteering(text: str) -> str:
  return re.sub(f"[{_STEERING}]+", " ", text)


def _wrapped(text: str, width: int) -> list[str]:
  """The lines; a break is kept beside a row of a table, before an item or a field, and
  between paragraphs."""
  kept: list[str] = []
  is_kept = True  # the break before the line
  for line in text.split("\n"):
    held = line.strip()
    ends = not held or any(mark in f" {held} " for mark in _CELLS)
    # The answer may stand at the line's start, and its mark begins no field.
    if ends or is_kept or _BEGINS.match(_MARKS.sub("", line)):
      kept.append(line)
    else:
      kept[-1] += " " + line
    is_kept = ends
  return [part for line in kept for part in textwrap.wrap(
      re.sub("[ \t]+", " ", line).strip(), width, break_on_hyphens=False)]


def in_line(text: str) -> str:
  """Without control characters, which could steer the terminal, and without those that turn
  the direction of what follows, which could show it as something else.

  Several spaces, as of indented or justified text, are one.
  """
  return re.sub(f"[ \t\n{_STEERING}]+", " ", text)


def _colored(lines: Sequence[str]) -> list[str]:
  """Replaces the stand-ins; a mark that runs over a line's end starts anew."""
  colored, inside = [], False
  for line in lines:
    opened = inside
    inside = (inside or _OPEN in line) and _CLOSE not in line
    line = line.replace(_OPEN, _BOLD_INVERSE).replace(_CLOSE, _PLAIN)
    colored.append(_BOLD_INVERSE * opened + line + _PLAIN * inside)
  return colored
