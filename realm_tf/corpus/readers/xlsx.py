"""Workbooks (.xlsx) as documents: the rows of each sheet, by openpyxl.

    Prices 2025                 a row of one cell is a line
    Model | Price.              others are rows of a table, below the names of the columns
    Heron | 899.00 €.           numbers as they are shown, dates as 2025-03-12
    Volt 3 | –.                 a dash is an empty cell

Formulas are the values that were stored with them. A cell that is merged over rows says the
same in each. Hidden sheets are out.
"""

import collections
import io
import itertools
import zipfile
from collections.abc import Iterator, Sequence

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from realm_tf.corpus.readers.closed_lines import closed, with_closed_items
from realm_tf.corpus.readers.gaps import GAP
from realm_tf.corpus.readers.office import open_package
from realm_tf.corpus.readers.shown_values import shown
from realm_tf.corpus.readers.unreadable import Unreadable

Row = dict[int, str]  # texts by column; no empty ones


def read_xlsx(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text: a paragraph for each table.

  Raises:
    Unreadable: damaged, encrypted, or a bomb.
  """
  open_package(data, "Excel").close()
  try:
    book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
  except (zipfile.BadZipFile, KeyError, ValueError) as error:
    raise Unreadable("damaged", str(error)[:200]) from None
  texts = {sheet.title: _text(sheet) for sheet in book.worksheets
           if sheet.sheet_state == "visible"}
  told = [(name, text) for name, text in texts.items() if text]
  return " ".join((book.properties.title or "").split()), "\n\n".join(
      text if len(told) == 1 else f"{name}\n\n{text}" for name, text in told)


def _text(sheet: Worksheet) -> str:
  rows = collections.defaultdict[int, Row](dict)
  # What `iter_rows` makes of a cell that is far below the others is a million rows.
  for (number, column), cell in sheet._cells.items():  # pylint: disable=protected-access
    if text := " ".join(shown(cell.value, cell.number_format).split()):
      rows[number][column] = text
  for area in sheet.merged_cells.ranges:
    if first := rows[area.min_row].get(area.min_col):
      for number in range(area.min_row + 1, area.max_row + 1):
        if number in rows:
          rows[number][area.min_col] = first
  numbers = sorted(number for number, row in rows.items() if row)
  parts = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
  return "\n\n".join(filter(None, (
      part for _, pairs in parts for part in _parts([rows[number] for _, number in pairs]))))


def _parts(rows: Sequence[Row]) -> Iterator[str]:
  """Rows without an empty one between them: lines, tables beside each other, and lines."""
  tabular = [i for i, row in enumerate(rows) if len(row) > 1]
  first, end = (tabular[0], tabular[-1] + 1) if tabular else (len(rows), len(rows))
  yield _lines(rows[:first])
  columns = sorted({column for row in rows[first:end] for column in row})
  groups = [[column for _, column in pairs] for _, pairs in itertools.groupby(
      enumerate(columns), lambda pair: pair[1] - pair[0])]
  for group in groups if all(len(group) > 1 for group in groups) else [columns]:
    yield "\n".join(closed(" | ".join(row.get(column, GAP).replace(" | ", " / ")
                                      for column in group))
                    for row in rows[first:end] if any(column in row for column in group))
  yield _lines(rows[end:])


def _lines(rows: Sequence[Row]) -> str:
  return with_closed_items("\n".join(text for row in rows for text in row.values()))
