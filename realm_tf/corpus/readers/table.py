"""Tables with named columns (CSV): `text`, and `id` and `title`, which may be missing.

Between commas, semicolons, tabs or bars, whichever the header has; quoted as RFC 4180 says,
but that spaces may stand around the quotes. Other columns are passed over. See `other_names`
for what else is read as these.
"""

import csv
import pathlib
import re
from typing import Iterator

from realm_tf import jsonl
from realm_tf.corpus import tsv
from realm_tf.corpus.readers.maker import MOST_CHARACTERS, Document, Format, Lines, Maker
from realm_tf.corpus.readers.other_names import FieldNames
from realm_tf.errors import UserError
from realm_tf.lines import plain_suffix

_DELIMITERS = ",;\t|"
_RETURN = re.compile(r"(?<=\r)(?=[^\r\n])")
_EXPECTED = "a header with id, title and text, and as many values in each row"
# A value that a quote opens and none ends is not read to the end of a large file.
csv.field_size_limit(2 * MOST_CHARACTERS)


class _Numbered:
  """Lines for csv, which asks for as many as a record takes."""

  def __init__(self, numbered: Lines):
    self._lines = _split(numbered)
    self.first = 0  # number of the first line that was taken since this was 0

  def __iter__(self) -> Iterator[str]:
    for number, line in self._lines:
      self.first = self.first or number
      yield line

  def closed_up(self, delimiter: str) -> Iterator[str]:
    """The lines, less the spaces around quoted values, of which RFC 4180 knows none."""
    mark = re.escape(delimiter)
    loose = re.compile(rf'(?:^|{mark}) +"|" +(?:{mark}|[\r\n]*$)')
    quoted, end = r'[^"]*(?:""[^"]*)*(?:"|\Z)', rf"({mark}|[\r\n]*\Z)"
    rest = re.compile(rf"({quoted}) *{end}")
    field = re.compile(rf'(?: *("{quoted}) *|([^{mark}]*)){end}')
    is_open = False  # within a value that a quote opened in a line before
    for number, line in self._lines:
      is_open &= self.first > 0
      self.first = self.first or number
      was_open, is_open = is_open, is_open != bool(line.count('"') % 2)
      if '"' in line and loose.search(line):
        begun = rest.match(line) if was_open else None
        place = begun.end() if begun else 0
        if begun or not was_open:
          line = (begun.expand(r"\1\2") if begun else "") + field.sub(
              r"\1\2\3", line[place:])
      yield line


def _split(numbered: Lines) -> Lines:
  """The same lines, which end at carriage returns, too.

  What Excel writes for old Macs may hold line feeds in quotes; elsewhere a carriage return
  ends a row, or is none of CSV.
  """
  returns = 0
  for number, line in numbered:
    first, *more = _RETURN.split(line)
    yield number + returns, first
    for part in more:
      returns += 1
      yield number + returns, part


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  lines = _Numbered(numbered)
  header, where = "", f"{maker.path}"
  for header in lines:
    where = f"{maker.path}:{lines.first}"
    if header.strip() and not header.startswith("sep="):  # Excel's line says no more
      break
    lines.first, header = 0, ""
  if not header:
    return
  columns = _columns(header, where)
  ours = _told_by(columns)
  ours.accept(where, maker)
  lines.first = 0
  rows = csv.reader(lines.closed_up(_delimiter(header)), delimiter=_delimiter(header),
                    strict=True)
  while True:
    try:
      values = next(rows, None)
    except csv.Error as error:
      raise UserError(f"{maker.path}:{lines.first}: not CSV ({error}); expected {_EXPECTED}"
                      ) from None
    if values is None:
      return
    number, lines.first = lines.first, 0
    if not any(values):  # as spreadsheets write the rows below the last
      continue
    if len(values) != len(columns):
      raise UserError(f"{maker.path}:{number}: {len(values)} values; expected "
                      f"{len(columns)}, as the header has")
    yield from maker.make(number, ours.as_ours(number, {
        name: value for name, value in zip(columns, values) if name}))


def _delimiter(header: str) -> str:
  """What stands between the names: where one is of a text, or most are."""
  return max(_DELIMITERS, key=lambda delimiter: (
      _told_by(names := _names(header, delimiter)).text in names, len(names)))


def _names(header: str, delimiter: str) -> list[str]:
  try:
    names = next(csv.reader(_RETURN.split(header), delimiter=delimiter,
                            skipinitialspace=True))
  except (csv.Error, StopIteration):
    return []
  return [name.strip().casefold() for name in names]


def _columns(header: str, where: str) -> list[str]:
  """The names of the columns."""
  names = _names(header, _delimiter(header))
  jsonl.text_field(dict.fromkeys(names, ""), _told_by(names).text, where, _EXPECTED)
  if twice := [name for name in ("title", *_told_by(names)) if names.count(name) > 1]:
    raise UserError(f"{where}: column '{twice[0]}' is there twice; expected it once")
  return names


def _told_by(names: list[str]) -> FieldNames:
  return FieldNames.told_by(dict.fromkeys(names))


def _sniff(path: pathlib.Path, first: str) -> bool:
  if plain_suffix(path) == ".csv":
    return True
  return not tsv.is_header(first) and any(
      set(_told_by(names := _names(first, delimiter))) <= set(names)
      for delimiter in _DELIMITERS)


CSV = Format(_parse, _sniff)
