"""Tables in a text, as our readers write them: lines of cells between bars.

    Name | Role | Extension.
    Tomas Brellin | Head of engineering | 102.

Two lines at least of as many cells each; the first, whose cells hold no figures, names the
columns. Blank lines may stand between them. Places are bytes, the end exclusive.
"""

from collections.abc import Iterator
from typing import NamedTuple

BAR = b" | "
Place = tuple[int, int]


class Line(NamedTuple):
  place: Place
  cells: list[Place]  # less blanks, and less the full stop that ends the line


def tables(text: bytes) -> Iterator[list[Line]]:
  """The tables in order, each its lines."""
  table: list[Line] = []
  for line in [*_lines(text), Line((0, 0), [])]:
    if table and len(line.cells) != len(table[0].cells):
      if len(table) > 1 and not any(48 <= byte < 58 for cell in table[0].cells
                                    for byte in text[slice(*cell)]):
        yield table
      table = []
    if len(line.cells) > 1:
      table.append(line)


def _lines(text: bytes) -> Iterator[Line]:
  """Each line that is not blank."""
  place = 0
  for line in text.split(b"\n"):
    at, cells = place, []
    for cell in (line.rstrip().removesuffix(b".")).split(BAR):
      bare = cell.strip()
      first = at + (len(cell) - len(cell.lstrip()) if bare else 0)
      cells.append((first, first + len(bare)))
      at += len(cell) + len(BAR)
    if line.strip():
      yield Line((place, place + len(line)), cells)
    place += len(line) + 1
