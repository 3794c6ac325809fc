"""What tables of HTML and Word have in common whose cells span columns or rows.

Where a row has fewer cells than the others, nobody can tell which column a cell is of. So a
header says the name of each column, and what stands beside several rows is said in each.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

from lxml import etree

_MOST_ADDED = 100_000  # elements; a page that says "rowspan=65535" in each cell asks for more
_MOST_COLUMNS = 200


class Placed(NamedTuple):
  """A cell in a row, from its first column to its end, which is exclusive."""
  cell: etree._Element
  first: int
  end: int
  until: float = 0  # the row before which it ends
  is_own: bool = True  # else it is that of a row above


Lines = Sequence[Sequence[Placed]]


class TooManyError(Exception):
  """More would be added to a document than any that means it has."""


class Additions:
  """How many elements may be added to a document, copies of cells above all."""

  def __init__(self) -> None:
    self._left = _MOST_ADDED

  def take(self, count: int) -> None:
    """Raises:
      TooManyError: there are not so many left.
    """
    self._left -= count
    if self._left < 0:
      raise TooManyError


def columns(header: Lines, body: Lines) -> list[int]:
  """Where the columns begin that rows of a header name: where its cells do, and those below.

  Below a cell that spans several columns there are as many as most rows have there, whatever
  number it says. Empty where they are more than tables have.
  """
  layouts = collections.Counter(
      tuple(placed.first for placed in line) for line in body if len(line) > 1)
  usual = max(layouts, key=lambda layout: (layouts[layout], len(layout)), default=())
  found = {*usual, *(placed.first for line in header for placed in line)}
  return sorted(found) if len(found) <= _MOST_COLUMNS else []
