"""Tables with named columns (CSV): `text`, and `id` and `title`, which may be missing.

Between commas, semicolons, tabs or bars, whichever the header has; quoted as RFC 4180 says,
but that spaces may stand around the quotes, and that backslashes may escape them, as Spark
and MySQL write. Other columns are passed over. See `other_names` for what else is read as
these.
"""

import collections
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
_ESCAPED = re.compile(r'\\(["\\\r\n])')
_EXPECTED = "a header with id, title and text, and as many values in each row"
# A value that a quote opens and none ends is not read to the end of a large file.
csv.field_size_limit(2 * MOST_CHARACTERS)


class _Numbered:
  """Lines for csv, which asks for as many as a record takes."""

  def __init__(self, numbered: Lines):
    self._lines = _split(numbered)
    self._again: collections.deque[tuple[int, str]] = collections.deque()
    self._taken: list[tuple[int, str]] = []  # by the record that is read
    self.escapes = False  # whether backslashes escape quotes

  @property
  def first(self) -> int:
    """The number of the first line of the record that is read; 0 before it."""
    return self._taken[0][0] if self._taken else 0

  def begin(self) -> None:
    """What is taken from here on is another record."""
    self._taken.clear()

  def begin_again_with_escapes(self) -> bool:
    """Whether the record may be one of escaped quotes: then it is to be read once more.

    RFC 4180 has none, and a backslash may stand before a quote that ends a value: "C:\\".
    So what the RFC can read is read by it, until it can't.
    """
    if self.escapes or not any('\\"' in line for _, line in self._taken):
      return False
    self.escapes = True
    self._again.extendleft(reversed(self._taken))
    self.begin()
    return True

  def _numbered(self) -> Iterator[tuple[int, str]]:
    while line := self._again.popleft() if self._again else next(self._lines, None):
      self._taken.append(line)
      yield line

  def __iter__(self) -> Iterator[str]:
    for _, line in self._numbered():
      yield line

  def closed_up(self, delimiter: str) -> Iterator[str]:
    """The lines, less the spaces around quoted values, of which RFC 4180 knows none."""
    mark = re.escape(delimiter)
    loose = re.compile(rf'(?:^|{mark}) +"|" +(?:{mark}|[\r\n]*$)')
    quoted, end = r'[^"]*(?:""[^"]*)*(?:"|\Z)', rf"({mark}|[\r\n]*\Z)"
    rest = re.compile(rf"({quoted}) *{end}")
    field = re.compile(rf'(?: *("{quoted}) *|([^{mark}]*)){end}')
    is_open = False  # within a value that a quote opened in a line before
    for _, line in self._numbered():
      is_open &= len(self._taken) > 1
      if self.escapes:
        line = _ESCAPED.sub(lambda match: '""' if match[1] == '"' else match[1], line)
      was_open, is_open = is_open, is_open != bool(line.count('"') % 2)
      if '"' in line and loose.search(line):
        begun = rest.match(line) if was_open else None
        place = begun.end() if begun else 0
        if begun or not was_open:
          line = (begun.expand(r"\1\2") if begun else "") + field.sub(
              r"\1\2\3", line[place:])
      yield line


def _split(numbered: Lines) -> Iterator[tuple[int, str]]:
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
    lines.begin()
    header = ""
  if not header:
    return
  columns = _columns(header, where)
  ours = _told_by(columns)
  ours.accept(where, maker)
  lines.begin()
  rows = _rows(lines, _delimiter(header))
  while True:
    problem = ""
    try:
      values = next(rows, None)
    except csv.Error as error:
      values, problem = [], f"not CSV ({error}); expected {_EXPECTED}"
    if values is None:
      return
    if any(values) and len(values) != len(columns):
      problem = f"{len(values)} values; expected {len(columns)}, as the header has"
    if problem and lines.begin_again_with_escapes():
      rows = _rows(lines, _delimiter(header))
      continue
    number = lines.first
    if problem:
      raise UserError(f"{maker.path}:{number}: {problem}")
    lines.begin()
    if not any(values):  # as spreadsheets write the rows below the last
      continue
    yield from maker.make(number, ours.as_ours(number, {
        name: value for name, value in zip(columns, values) if name}))


def _rows(lines: _Numbered, delimiter: str) -> Iterator[list[str]]:
  return csv.reader(lines.closed_up(delimiter), delimiter=delimiter, strict=True)


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
