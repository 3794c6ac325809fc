"""Passages of DPR: three values per line, separated by tabs, with quotes that csv reads.

A quote that opens a value quotes it where the next quote that is not doubled ends it: tabs,
line ends and doubled quotes are then part of the value (RFC 4180, as Python's csv writes).
Any other quote is text, for many files are written without a thought of quotes. A quoted
value may span lines where these lines could not be records by themselves.
"""

import collections
import re
from typing import Iterable, Iterator

from realm_tf.counted import counted
from realm_tf.errors import UserError
from realm_tf.files import PathLike

HEADER = ("id", "text", "title")
_EXPECTED = "id, text and title, separated by tabs"

_WITHIN = r'[^"]*+(?:""[^"]*+)*+'  # of a quoted value
_VALUE = rf'(?:"({_WITHIN})"|([^\t\n]*+))'
_RECORD = re.compile("\t".join([_VALUE] * len(HEADER)))
_OPEN = re.compile(rf'(?:{_VALUE}\t){{0,{len(HEADER) - 1}}}"{_WITHIN}')  # a quote is open
_STILL_OPEN = re.compile(_WITHIN)

# How far the end of a quoted value is looked for.
_MOST_CHARACTERS = 1 << 26
_MOST_RECORDS = 1000  # lines that could be records: then the quote is text


def is_header(line: str) -> bool:
  """Whether a line is the header of DPR's passages."""
  match = _RECORD.fullmatch(_content(line))
  return match is not None and tuple(_values(match)) == HEADER


def read_records(lines: Iterable[tuple[int, str]], path: PathLike
                 ) -> Iterator[tuple[int, list[str]]]:
  """Yields the number of its first line, and the values, of each record behind the header.

  Lines without anything are passed over.

  Raises:
    UserError: names file and line: no header, not three values, a quote of which nobody
      could say whether it is text.
  """
  reader = _Records(lines, path)
  for number, line in reader.lines():
    if not is_header(line):
      start = _content(line).split("\t")
      fields = ", ".join(repr(value[:20]) for value in start[:4])
      raise UserError(f"{path}:{number}: header {fields}; expected {_EXPECTED}")
    break
  for number, line in reader.lines():
    yield number, reader.record(number, line)


class _Records:
  """Lines, of which some have been looked at before their turn."""

  def __init__(self, lines: Iterable[tuple[int, str]], path: PathLike):
    self._lines, self._path = iter(lines), path
    self._ahead: collections.deque[tuple[int, str]] = collections.deque()
    # Whether a value held a quote and was not quoted: csv would not have written that.
    self._stray_quotes = False

  def lines(self) -> Iterator[tuple[int, str]]:
    """The lines with something in them that no record before has taken."""
    while self._ahead or self._look_ahead():
      number, line = self._ahead.popleft()
      if _content(line):
        yield number, line

  def record(self, number: int, line: str) -> list[str]:
    """The values of the record that begins in a line; takes further ones if it must."""
    match = _RECORD.fullmatch(_content(line))
    if not match or any(plain and plain[0] == '"' for plain in match.groups()[1::2]):
      is_open = _OPEN.fullmatch(line)
      match = (self._spanning(number, line, match) if is_open else None) or match
      if not match:
        count = counted(_content(line).count("\t") + 1, "field")
        problem = "a quote opens a value and none ends it" if is_open else count
        raise UserError(f"{self._path}:{number}: {problem}; expected {_EXPECTED}")
    self._stray_quotes |= any(plain and '"' in plain for plain in match.groups()[1::2])
    return _values(match)

  def _spanning(self, number: int, line: str, alone: re.Match | None) -> re.Match | None:
    """The record that spans lines because a quote is open at the end of the first.

    None where the quote is text: none ends it, or each of the lines is a record (`alone`
    is the first as one) and the quotes of this file have been text before.
    """
    longest, lines_taken = None, 0
    text, size, records = [line], len(line), alone is not None
    numbers = alone is not None and _values(alone)[0].isdecimal()
    for count, (_, following) in enumerate(self._following(), 1):
      text.append(following)
      size += len(following)
      records = records and _could_be_record(following, numbers)
      if not _STILL_OPEN.fullmatch(following):
        match = _RECORD.fullmatch(_content("".join(text)))
        if match and records and not self._stray_quotes:
          raise UserError(
              f"{self._path}:{number}: a quote opens a value here and one ends it {count} "
              "lines below, while each of these lines could be a record; expected quotes "
              "that are text to be doubled, in a quoted value, as csv writes them")
        if match and records:
          return None
        longest, lines_taken = (match, count) if match else (longest, lines_taken)
        if not _OPEN.fullmatch("".join(text)):  # else a value further on is open now
          break
      if size > _MOST_CHARACTERS or (records and count >= _MOST_RECORDS):
        break
    for _ in range(lines_taken):
      self._ahead.popleft()
    return longest

  def _following(self) -> Iterator[tuple[int, str]]:
    """The lines behind the present one; they stay where they are."""
    yield from list(self._ahead)
    while self._look_ahead():
      yield self._ahead[-1]

  def _look_ahead(self) -> bool:
    """Reads a line more; False at the end."""
    line = next(self._lines, None)
    if line is not None:
      self._ahead.append(line)
    return line is not None


def _content(line: str) -> str:
  return line.removesuffix("\n").removesuffix("\r")


def _values(match: re.Match) -> list[str]:
  groups = match.groups()
  return [plain if quoted is None else quoted.replace('""', '"')
          for quoted, plain in zip(groups[::2], groups[1::2])]


def _could_be_record(line: str, numbers: bool) -> bool:
  """Whether a line is a record by itself, or none, and so its id, if they are `numbers`."""
  match = _RECORD.fullmatch(_content(line))
  if not match:
    return not _content(line)
  return not numbers or _values(match)[0].isdecimal()
