"""Tables of HTML before they are read: spans are resolved, and their headers are one row.

    <tr><th rowspan=2>Name <th colspan=2>Fee          Name | Fee, town | Fee, villages
    <tr>                   <th>town <th>villages
    <tr><td rowspan=2>Water <td>14 <td>19             Water | 14 | 19
    <tr>                    <td>15 <td>20             Water | 15 | 20

So they are in tables of data; those that lay a page out stay, and so do infoboxes. In the
body a cell over several columns is one, as a label of the rows below it is.
"""

import copy
import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from lxml import etree

from realm_tf.corpus.readers.spans import Additions, Lines, Placed, TooManyError, columns
from realm_tf.corpus.readers.unread import is_unread

CELLS = frozenset(("td", "th"))
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# What a cell that is a value holds at most, and what it does not hold.
_MOST_OF_CELL, _MOST_PARTS, _LAID_OUT = 200, 50, frozenset((*HEADINGS, "table", "pre"))
_SECTIONS = frozenset(("thead", "tbody", "tfoot"))
_MOST_OF_HEADER = 4  # rows; more of them are no header, whatever their cells are called
_NUMBER = re.compile(r"\s*\+?([0-9]{1,9})")

_Read = Callable[[etree._Element], str]


def is_small_cell(element: etree._Element) -> bool:
  """Whether a cell of a table is a value, so that its paragraphs belong in one line.

  Tables also lay pages out: their cells hold other tables, headings or much text.
  """
  size = 0
  for count, part in enumerate(element.iter(), 1):
    size += len(part.text or "") + len(part.tail or "")
    if count > _MOST_PARTS or size > _MOST_OF_CELL or (
        part is not element and part.tag in _LAID_OUT):
      return False
  return True


def settle_tables(root: etree._Element, read: _Read) -> None:
  """Rewrites the tables below an element, of which `read` tells the text of a cell."""
  additions = Additions()
  try:
    for table in list(root.iter("table")):
      _settle(table, read, additions)
  except TooManyError:
    pass  # this one and those behind it stay as they are


def _settle(table: etree._Element, read: _Read, additions: Additions) -> None:
  if next(table.iterdescendants(*_LAID_OUT), None) is not None or (
      table.get("role") in ("presentation", "none") or "infobox" in table.get("class", "")):
    return
  rows = list(_rows(table))
  spans = any(_spans(cell) for row in rows for cell in row)
  if not spans and len(list(itertools.takewhile(_is_of_header, rows))) < 2:
    return
  if not _is_data(rows):
    return
  grid = _grid(rows, additions)
  first, end = _header(rows, grid)
  header = _names(grid[first:end], grid[end:], read, additions)
  if any(not placed.is_own and not is_small_cell(placed.cell)
         for line in grid for placed in line):
    return
  for row, line in zip(rows[end:], grid[end:]):
    _fill(row, line)
  if header:
    _replace(rows[first:end], grid[first], header)


def _rows(table: etree._Element) -> Iterator[etree._Element]:
  """Those that are shown."""
  for part in table:
    if part.tag in _SECTIONS and not is_unread(part):
      yield from (row for row in part if row.tag == "tr" and not is_unread(row))
    elif part.tag == "tr" and not is_unread(part):
      yield part


def _cells(row: etree._Element) -> list[etree._Element]:
  return [part for part in row if part.tag in CELLS and not is_unread(part)]


def _spans(cell: etree._Element) -> bool:
  return bool(cell.keys()) and cell.tag in CELLS and (
      _number(cell, "rowspan") != 1 or _number(cell, "colspan") > 1)


def _number(cell: etree._Element, name: str) -> int:
  """What an attribute says, and 1 where that is no number."""
  stated = _NUMBER.match(cell.get(name, "1"))
  return int(stated[1]) if stated else 1


def _is_of_header(row: etree._Element) -> bool:
  cells, parent = _cells(row), row.getparent()
  return bool(cells) and (parent is not None and parent.tag == "thead"
                          or all(cell.tag == "th" for cell in cells))


def _is_data(rows: Sequence[etree._Element]) -> bool:
  """Whether a few of the cells at most are long, and all text is in cells."""
  cells = [cell for row in rows for cell in _cells(row)]
  outside = [part for row in rows for part in row if part.tag not in CELLS]
  if any((row.text or "").strip() or (row.tail or "").strip() for row in rows) or any(
      (part.tail or "").strip() for row in rows for part in row) or any(
          not is_unread(part) for part in outside):
    return False
  return sum(not is_small_cell(cell) for cell in cells) * 4 <= len(cells)


def _grid(rows: Sequence[etree._Element], additions: Additions) -> list[list[Placed]]:
  """What stands in each row from left to right, with what hangs into it from above.

  Nothing hangs from one section of a table into the next, or into a row without cells.
  """
  grid: list[list[Placed]] = []
  hanging: list[Placed] = []
  for number, row in enumerate(rows):
    if not number or row.getparent() is not rows[number - 1].getparent():
      hanging = []
    # Their number is what bounds the time, too: where a row has no cells, nothing is added.
    additions.take(sum(1 for placed in hanging for _ in placed.cell.iter()))
    line = _line(_cells(row), hanging, number)
    grid.append(line)
    hanging = [placed._replace(is_own=False) for placed in line or hanging
               if placed.until > number + 1]
  return grid


def _line(cells: Sequence[etree._Element], hanging: Sequence[Placed],
          number: int) -> list[Placed]:
  """The cells of a row that is the `number`th, each in the first column that is free."""
  if not cells:
    return []
  line, column, above = [], 0, list(reversed(hanging))
  for cell in cells:
    while above and above[-1].first <= column:
      line.append(above.pop())
      column = max(column, line[-1].end)
    end = column + max(_number(cell, "colspan"), 1)
    end = min(end, above[-1].first) if above else end
    rows = _number(cell, "rowspan") or float("inf")  # 0: to the end of the section
    line.append(Placed(cell, column, end, number + rows))
    column = end
  return [*line, *reversed(above)]


def _header(rows: Sequence[etree._Element], grid: Lines) -> tuple[int, int]:
  """The first row that names columns, and the one behind the last; the same if none does.

  A cell alone above them is a title, and one alone below them a label of what follows.
  """
  first = 0
  while first < len(rows) and _is_of_header(rows[first]) and len(grid[first]) == 1:
    first += 1
  end, parents = first, [row.getparent() for row in rows]
  while end < len(rows) and _is_of_header(rows[end]) and (
      parents[end] is parents[first] or parents[first].tag != "thead") and (
          len(grid[end]) > 1 or parents[end].tag == "thead"):
    end += 1
  is_one = end - first <= _MOST_OF_HEADER and any(grid[end:])
  return (first, end) if is_one else (0, 0)


def _names(header: Lines, body: Lines, read: _Read,
           additions: Additions) -> list[etree._Element]:
  """The cells of the one row that a header becomes; none where it is that already."""
  starts = columns(header, body) if header else []
  placed = [part for line in header for part in line]
  if len(header) < 2 and len(starts) <= len(placed) or not all(
      is_small_cell(part.cell) for part in placed):
    return []
  texts = {part.cell: read(part.cell) for part in placed}
  names = []
  for column in starts:
    above = [part.cell for part in placed if part.first <= column < part.end]
    if above:
      additions.take(sum(1 for cell in above for _ in cell.iter()))
      names.append(_joined(above, texts))
  return names


def _joined(above: Sequence[etree._Element],
            texts: dict[etree._Element, str]) -> etree._Element:
  """What cells above each other say, from top to bottom, as one cell."""
  said = {texts[cell]: cell for cell in reversed(above) if texts[cell]}
  if len(said) < 2:
    return _copy(next(iter(said.values()), above[0]))
  name = etree.Element("th")
  name.text = ", ".join(dict.fromkeys(texts[cell] for cell in above if texts[cell]))
  return name


def _copy(cell: etree._Element) -> etree._Element:
  new = copy.deepcopy(cell)
  new.tail = None
  return new


def _fill(row: etree._Element, line: Sequence[Placed]) -> None:
  """Puts in a row what hangs into it."""
  following: etree._Element | None = None
  for placed in reversed(line):
    cell = placed.cell if placed.is_own else _copy(placed.cell)
    if not placed.is_own and following is None:
      row.append(cell)
    elif not placed.is_own and following is not None:
      following.addprevious(cell)
    following = cell


def _replace(rows: Sequence[etree._Element], line: Sequence[Placed],
             names: Sequence[etree._Element]) -> None:
  """Makes one row of several: the first, with these cells."""
  for placed in line:
    if placed.is_own:
      rows[0].remove(placed.cell)
  rows[0].extend(names)
  for row in rows[1:]:
    parent = row.getparent()
    if parent is not None:
      parent.remove(row)
