"""Tables of Word before they are read: what is merged is said in each row, or column.

Of cells that are merged downwards Word keeps all, and the text in the first. Of those that
are merged to the right it keeps one: in the row that names the columns it is each of them.
"""

import copy
from collections.abc import Sequence

from docx.oxml.ns import qn
from lxml import etree

from realm_tf.corpus.readers.spans import Additions, Placed, TooManyError, columns

_TABLE, _ROW, _CELL = qn("w:tbl"), qn("w:tr"), qn("w:tc")
_PROPERTIES, _MERGE, _VALUE = qn("w:tcPr"), qn("w:vMerge"), qn("w:val")
_DELETED = f"{qn('w:trPr')}/{qn('w:del')}"
_BEFORE = f"{qn('w:trPr')}/{qn('w:gridBefore')}"
_MOST_OF_CELL = 200  # characters; what is longer is no value, and said once


def settle_tables(part: etree._Element) -> None:
  """Rewrites the tables of a part but those in cells, and those that hold such."""
  additions = Additions()
  try:
    for table in list(part.iter(_TABLE)):
      if next(table.iterancestors(_TABLE), None) is None and (
          next(table.iterdescendants(_TABLE), None) is None):
        _settle(table, additions)
  except TooManyError:
    pass  # the rest stays as it is


def _settle(table: etree._Element, additions: Additions) -> None:
  grid = [_line(row) for row in table.iter(_ROW) if row.find(_DELETED) is None]
  above: dict[int, etree._Element] = {}  # cells that go on, by column
  for line in grid:
    begins = {placed.first: _merged(placed.cell, above.get(placed.first), additions)
              for placed in line}
    above = {column: cell for column, cell in begins.items() if cell is not None}
  # A cell alone above the names of the columns is a title.
  rows = grid[next((i for i, line in enumerate(grid) if len(line) > 1), len(grid)):]
  if rows:
    _name_columns(rows[0], columns(rows[:1], rows[1:]), additions)


def _line(row: etree._Element) -> list[Placed]:
  line, column = [], _number(row.find(_BEFORE), 0)
  for cell in row.iter(_CELL):
    end = column + max(_number(cell.find(f"{_PROPERTIES}/{qn('w:gridSpan')}"), 1), 1)
    line.append(Placed(cell, column, end))
    column = end
  return line


def _number(element: etree._Element | None, default: int) -> int:
  stated = "" if element is None else element.get(_VALUE, "")
  return int(stated) if stated.isdecimal() and len(stated) < 10 else default


def _merged(cell: etree._Element, above: etree._Element | None,
            additions: Additions) -> etree._Element | None:
  """The cell that begins what a cell is merged into, if it is, and is not long.

  It says the same from now on, and both are as others are, a dash where they are empty.
  """
  merge = cell.find(f"{_PROPERTIES}/{_MERGE}")
  if merge is None:
    return None
  if merge.get(_VALUE, "continue") == "restart":
    if len(_said(cell)) > _MOST_OF_CELL:
      return None
    above = cell
  elif above is not None and not _said(cell):
    additions.take(sum(1 for _ in above.iter()))
    _say(cell, above)
  else:
    return None
  for properties in cell.findall(_PROPERTIES):
    properties.remove(merge)
  return above


def _said(cell: etree._Element) -> str:
  return "".join(cell.itertext()).strip()


def _say(cell: etree._Element, above: etree._Element) -> None:
  """Puts into a cell what another one says."""
  for part in list(cell):
    if part.tag != _PROPERTIES:
      cell.remove(part)
  cell.extend(copy.deepcopy(part) for part in above if part.tag != _PROPERTIES)


def _name_columns(line: Sequence[Placed], starts: Sequence[int],
                  additions: Additions) -> None:
  """Writes each cell of a row as often as columns begin in it."""
  for placed in line:
    count = sum(placed.first < start < placed.end for start in starts)
    if len(_said(placed.cell)) <= _MOST_OF_CELL:
      for _ in range(count):
        additions.take(sum(1 for _ in placed.cell.iter()))
        placed.cell.addnext(copy.deepcopy(placed.cell))
