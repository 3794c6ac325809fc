"""Tables with named columns (CSV), whatever they hold.

Between commas, semicolons, tabs or bars, whichever the header has; quoted as RFC 4180 says,
but that spaces may stand around the quotes, and that backslashes may escape them, as Spark
and MySQL write.
"""

import collections
import csv
import re
from collections.abc import Callable, Iterable, Iterator

from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.files import PathLike

DELIMITERS = ",;\t|"
_RETURN = re.compile(r"(?<=\r)(?=[^\r\n])")
_ESCAPED = re.compile(r'\\(["\\\r\n])')

Lines = Iterable[tuple[int, str]]


class CsvTable:
  """One table, read once.

  Attributes:
    names: of its columns, in small letters; none where there is nothing.
    spelled: the same as they stand in the file, for errors.
    where: path and line of its header, for errors.
  """

  def __init__(self, numbered: Lines, path: PathLike, expected: str,
               is_wanted: Callable[[list[str]], bool]):
    """Reads the header.

    Args:
      numbered: lines with their numbers.
      path: of the file, for errors.
      expected: ends the errors.
      is_wanted: whether columns of these names are those that are looked for.
    """
    self._lines, self._path, self._expected = _Numbered(numbered), path, expected
    header, self.where = "", f"{path}"
    for header in self._lines:
      self.where = f"{path}:{self._lines.first}"
      if header.strip() and not header.startswith("sep="):  # Excel's line says no more
        break
      self._lines.begin()
      header = ""
    self._lines.begin()
    # What stands between the names: where they are wanted, or most are.
    self._delimiter = max(DELIMITERS, key=lambda delimiter: (
        is_wanted(names := names_of(header, delimiter)), len(names)))
    self.spelled = spelled_names(header, self._delimiter) if header else []
    self.names = [name.casefold() for name in self.spelled]

  def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of its first line, and the values by name, of each row.

    Raises:
      UserError: names the line; it is no CSV, or has other columns than the header.
    """
    rows = self._rows()
    while True:
      problem = ""
      try:
        values = next(rows, None)
      except csv.Error as error:
        values, problem = [], f"not CSV ({error}); expected {self._expected}"
      if values is None:
        return
      if any(values) and len(values) != len(self.names):
        problem = (f"{counted(len(values), 'value')}; expected {len(self.names)}, as the "
                   "header has")
      if problem and self._lines.begin_again_with_escapes():
        rows = self._rows()
        continue
      number = self._lines.first
      if problem:
        raise UserError(f"{self._path}:{number}: {problem}")
      self._lines.begin()
      if any(values):  # spreadsheets write empty rows below the last
        yield number, {name: value for name, value in zip(self.names, values) if name}

  def _rows(self) -> Iterator[list[str]]:
    return csv.reader(self._lines.closed_up(self._delimiter), delimiter=self._delimiter,
                      strict=True)


def names_of(header: str, delimiter: str) -> list[str]:
  """The names of columns in a line, in small letters; none where it is no CSV."""
  return [name.casefold() for name in spelled_names(header, delimiter)]


def spelled_names(header: str, delimiter: str) -> list[str]:
  """The same as they stand there."""
  try:
    names = next(csv.reader(_RETURN.split(header), delimiter=delimiter,
                            skipinitialspace=True))
  except (csv.Error, StopIteration):
    return []
  return [name.strip() for name in names]


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
