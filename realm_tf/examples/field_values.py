"""What a question about fields may ask for: a value, by its key and by what it is of.

    Siobhan Vance                   what | Role | Siobhan Vance | -> Head of sales
    Role: Head of sales             who | Extension | 110 | -> Siobhan Vance
    Extension: 110

Lines of "key: value" that follow each other are a record. It is of the short line above it,
of its first value where the next record begins with that key, too, or else of the document,
by its title.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from realm_tf.text.field_lines import FIELD

Place = tuple[int, int]  # where it begins and ends in a text, in bytes
TITLE = (0, 0)  # instead of a place in the text

_FIELD = re.compile(FIELD.encode())
_NO_VALUE = re.compile(rb"[.!?] |[:;,?!]$|\|")  # sentences, and what goes on in the next line
_MOST_WORDS = 6  # of a key
_MOST_HEAD_WORDS = 8


class _Field(NamedTuple):
  key: Place
  value: Place


class _Record(NamedTuple):
  head: Place | None  # the line above it
  fields: Sequence[_Field]


def questions(text: bytes) -> Iterator[tuple[Place, Place, Place]]:
  """What is asked for, the key, and what it is asked by: a place, or `TITLE`.

  Of what several records have nobody could tell which of them is meant.
  """
  records = list(_records(text)) if text.count(b":") > 1 else []
  if sum(len(record.fields) for record in records) < 2:
    return

  def words(place: Place) -> bytes:
    return text[slice(*place)]

  firsts = [words(record.fields[0].key) for record in records]
  named = [record.head or (record.fields[0].value if firsts.count(first) > 1 else None)
           for record, first in zip(records, firsts)]
  names = [words(name) for name in named if name]
  is_of_several = len(names) > 1
  values = [words(field.value) for record in records for field in record.fields]
  of_title = [words(field.key) for record, name in zip(records, named) if not name
              for field in record.fields]
  for record, name in zip(records, named):
    for field in record.fields:
      if name is None:
        if of_title.count(words(field.key)) == 1:
          yield field.value, field.key, TITLE
      elif field.value != name:
        if names.count(words(name)) == 1:
          yield field.value, field.key, name
        if is_of_several and values.count(words(field.value)) == 1:
          is_head = name == record.head
          yield name, field.key if is_head else record.fields[0].key, field.value


def _records(text: bytes) -> Iterator[_Record]:
  """A key that comes again begins another, and so does an empty line, unless they are all
  parted by one."""
  head: Place | None = None
  fields: list[_Field] = []
  place, is_near, is_dense = 0, False, False
  for line in [*text.split(b"\n"), b"."]:
    field = _field(line, place)
    again = field and fields and (_same_key(text, fields[0], field)
                                  or (is_dense and not is_near))
    if fields and line.strip() and (again or not field):
      yield _Record(head, fields)
      head, fields, is_dense = None, [], False
    if field:
      is_dense = is_dense or (bool(fields) and is_near)
      fields.append(field)
    elif line.strip():
      head = _head(line, place)
    is_near = bool(line.strip())
    place += len(line) + 1


def _same_key(text: bytes, one: _Field, other: _Field) -> bool:
  return text[slice(*one.key)] == text[slice(*other.key)]


def _field(line: bytes, place: int) -> _Field | None:
  match = _FIELD.fullmatch(line.rstrip().removesuffix(b"."))
  if (not match or _NO_VALUE.search(match[2]) or b". " in match[1]
      or len(match[1].split()) > _MOST_WORDS):
    return None
  (key, key_end), (value, value_end) = match.span(1), match.span(2)
  return _Field((place + key, place + key_end), (place + value, place + value_end))


def _head(line: bytes, place: int) -> Place | None:
  """A line that may name what the fields below it are of: a heading, not a sentence."""
  bare = line.strip()
  if bare.endswith((b".", b"!", b"?", b";", b",")) or b"|" in bare or (
      len(bare.split()) > _MOST_HEAD_WORDS):
    return None
  first = place + len(line) - len(line.lstrip())
  return first, first + len(bare.removesuffix(b":"))
