"""Marks of italics and bold, taken out as MediaWiki reads them: ''Titanic'''s is Titanic's.

Source: `doQuotes` in MediaWiki's Parser.php.
"""

import re
from collections.abc import Iterable

# An apostrophe that is none of a mark, of {{'}}, &#39; or <nowiki>: no text holds this one.
APOSTROPHE = "\ufdd0"
# A bar that parts no cells: |x| may begin a line.
_BAR = "\ufdd1"
# Where a tag, link or template stood between two apostrophes, which are then no mark.
_APART = "\ufdd2"
_MARKS = re.compile("(''+)")


def shielded(text: str) -> str:
  """The text with apostrophes that no mark is made of, and bars that are none of a table."""
  return text.replace("'", APOSTROPHE).replace("|", _BAR)


def between_bars(text: str) -> str:
  """Between bars that are none of a table; marks within them are marks."""
  return f"{_BAR}{text}{_BAR}"


def put_together(pieces: Iterable[str]) -> str:
  """Texts that markup parted: ''v''<sub>''e''</sub> has no mark of four apostrophes."""
  text: list[str] = []
  for piece in filter(None, pieces):
    if piece[0] == "'" and text and text[-1][-1] == "'":
      text.append(_APART)
    text.append(piece)
  return "".join(text)


def quoted(text: str) -> str:
  """Between apostrophes, which are none of a mark, whatever stands within them."""
  return f"{APOSTROPHE}{text}{APOSTROPHE}"


def without_marks(text: str) -> str:
  """All lines without their marks, and shielded apostrophes as they are read."""
  if "''" in text:
    text = "\n".join("".join(_split(line)[::2]) for line in text.split("\n"))
  return text.replace(APOSTROPHE, "'").replace(_BAR, "|").replace(_APART, "")


def _split(line: str) -> list[str]:
  """Texts and marks in turn; what of a run of apostrophes is none is text before it."""
  parts = _MARKS.split(line)
  for place in range(1, len(parts), 2):
    size = len(parts[place])
    kept = 3 if size == 4 else min(size, 5)
    parts[place - 1] += "'" * (size - kept)
    parts[place] = "'" * kept
  italic, bold = (sum(len(mark) in (size, 5) for mark in parts[1::2]) for size in (2, 3))
  if italic % 2 and bold % 2 and (place := _possessive(parts)):
    parts[place - 1] += "'"
  return parts


def _possessive(parts: list[str]) -> int:
  """The place of the bold mark that is an apostrophe and an italic one; 0 without any.

  Behind a word of one letter, as in l'''amour'', else behind a longer one, else at a space.
  """
  found: dict[int, int] = {}
  for place in range(1, len(parts), 2):
    before = parts[place - 1]
    if len(parts[place]) == 3:
      found.setdefault(2 if before.endswith(" ") else int(before[-2:-1] != " "), place)
  return found[min(found)] if found else 0
