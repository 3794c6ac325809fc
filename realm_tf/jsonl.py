"""JSON lines, one object per line, and what the fields of an object must hold.

The one reader and writer of such files, whatever is in them: documents, questions,
predictions.
"""

import collections
import itertools
import json
import math
import unicodedata
from typing import Any, Iterable, Iterator, Mapping, NamedTuple

from realm_tf.errors import UserError
from realm_tf.files import PathLike, new_file
from realm_tf.lines import read_lines

# What other tools and data sets call our fields.
_OTHER_NAMES = {
    "id": ("_id", "docid", "doc_id", "document_id", "pid", "passage_id"),
    "text": ("contents", "content", "body", "passage", "page_content", "document"),
    "extract": ("text", "summary"),
    "question": ("query", "questions", "text", "input"),
    "answer": ("answers", "target", "output"),
    "prediction": ("answer", "predictions", "predicted_answer", "output")}
_FIELD_NAMES = frozenset((*_OTHER_NAMES, *itertools.chain(*_OTHER_NAMES.values())))
_MOST_NAMED = 5  # fields, where the one that is expected is missing

# Categories of characters of which nothing is seen, and which no tokenizer keeps: controls,
# formats, private use, spaces, marks that have no letter to stand on.
_UNSEEN = frozenset(("Cc", "Cf", "Co", "Cs", "Zs", "Zl", "Zp", "Mn"))
_UNSEEN_FROM = "\U000e0000"  # tags, variation selectors, private use
# A replacement character, Braille's blank, Hangul's fillers.
_UNSEEN_SYMBOLS = frozenset("\ufffd\u2800\u115f\u1160\u3164\uffa0")


class Row(NamedTuple):
  """One object and where it stands."""
  where: str  # "path:line", for errors
  number: int  # of the line; the first is 1
  line: str  # as it stands in the file, line end included
  fields: dict[str, Any]


class SpelledFloat(float):
  """A number of JSON that knows how it is spelled there: 2.50 is a price, 2.5 is none."""
  spelled: str

  def __new__(cls, spelled: str) -> "SpelledFloat":
    number = super().__new__(cls, spelled)
    number.spelled = spelled
    return number


class _Repeating(dict):
  """An object in which a name stands twice."""

  def __init__(self, pairs: list[tuple[str, Any]]):
    super().__init__(pairs)
    counts = collections.Counter(name for name, _ in pairs)
    self.repeated = counts.most_common(1)[0][0]


def read_rows(path: PathLike, expected: str) -> Iterator[Row]:
  """Reads a file of JSON lines; lines of white space alone are passed over.

  Args:
    path: of the file, plain or compressed; see `lines.read_lines`.
    expected: what the lines should hold, for the errors: "'id' and 'text'".

  Raises:
    UserError: names file and line; as `read_lines`, or a line is not one JSON object.
  """
  return parse_rows(read_lines(path, f"JSON lines with {expected}"), path, expected)


def write_rows(path: PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
  """One line for each, written whole or not at all."""
  with new_file(path, "w") as file:
    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def parse_rows(lines: Iterable[tuple[int, str]], path: PathLike, expected: str
               ) -> Iterator[Row]:
  """As `read_rows`, of numbered lines."""
  for number, line in lines:
    # Files that were put together may hold byte order marks between their lines.
    text = line.lstrip("\ufeff").rstrip()
    if text:
      where = f"{path}:{number}"
      yield Row(where, number, line, parse_object(
          text, where, f"one object per line, with {expected}"))


def parse_object(text: str, where: str, expected: str) -> dict[str, Any]:
  """The JSON object that a text is.

  NaN and Infinity are numbers, as Python writes them. Of a name that stands twice in the
  object itself nobody could say which value is meant: it is refused.

  Raises:
    UserError: names `where` and says what was `expected`.
  """
  try:
    value = _DECODER.decode(text)
  except json.JSONDecodeError as error:
    line = f"line {error.lineno}, " if "\n" in text else ""
    raise UserError(f"{where}: not valid JSON ({error.msg} at {line}column {error.colno})"
                    f"{_what_it_is(text, error.pos)}; expected {expected}") from None
  except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
    reason = "nested too deep" if isinstance(error, RecursionError) else "a number too long"
    raise UserError(f"{where}: not valid JSON ({reason}); expected {expected}") from None
  if isinstance(value, _Repeating):
    raise UserError(f"{where}: field {quoted(value.repeated)} is there twice; expected each "
                    "once")
  if not isinstance(value, dict):
    hint = ": `jq -c '.[]'` makes lines of an array" if isinstance(value, list) else ""
    raise UserError(f"{where}: JSON {_type(value)}; expected {expected}{hint}")
  return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  value = dict(pairs)
  return value if len(value) == len(pairs) else _Repeating(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=SpelledFloat)


def _what_it_is(text: str, stop: int) -> str:
  """What a text may be that is no JSON from character `stop` on."""
  start = text.lstrip()
  if not start.startswith(("[", "{")):
    return (": looks like values separated by tabs" if "\t" in text else
            ": looks like CSV, a table" if is_of_table(start) else "")
  if text[stop:].strip() == ",":
    return ": a comma behind it, as in an array, which `sed 's/,$//'` takes away"
  if stop >= len(text):
    kind, command = ("array", "'.[]'") if start[0] == "[" else ("object", ".")
    return f": an {kind} that goes on in the next line, which `jq -c {command}` mends"
  return ""


def is_of_table(line: str) -> bool:
  """Whether a line names columns as our fields are called, or has values in quotes."""
  return any(len(values := line.split(mark)) > 1 and (
      not _FIELD_NAMES.isdisjoint(value.strip(' "').casefold() for value in values)
      or (line.startswith('"') and f'"{mark}' in line)) for mark in ",;|")


def text_field(fields: Mapping[str, Any], name: str, where: str, expected: str = "a string"
               ) -> str:
  """The string in a field, which may be empty; `expected` ends the error of a missing one.

  Raises:
    UserError: names `where` and field; it is missing, no string, or not valid Unicode.
  """
  value = fields.get(name)
  if value is None:
    raise UserError(f"{where}: field '{name}' is missing{_like(fields, name)}; expected "
                    f"{expected}")
  return checked_text(value, f"{where}: field '{name}'")


def no_field(found: Iterable[str], name: str, kind: str, optional: str) -> str:
  """Says that no field, or column, has a name, which there are, and how to mend it."""
  fields = dict.fromkeys(found, "")
  mended = f": name the one that holds it '{name}'" if synonym(fields, name) is None else ""
  return f"no {kind} '{name}'{_like(fields, name)}{mended}, {optional}"


def checked_text(value: Any, label: str) -> str:
  """`value`, if it is a string that UTF-8 can hold; `label` begins the error."""
  if not isinstance(value, str):
    raise UserError(f"{label} is {_type(value)}; expected a string")
  try:
    value.isascii() or value.encode("utf-8")
  except UnicodeEncodeError:  # JSON may spell such halves, Python's arguments such bytes
    raise UserError(f"{label} holds half a surrogate pair, or a byte that is not UTF-8: "
                    f"{quoted(value)}; expected valid Unicode") from None
  return value


def id_field(fields: Mapping[str, Any], where: str, name: str = "id") -> str:
  """The id in a field: a string that is not blank, or an integer, as a string."""
  value = fields.get(name)
  if isinstance(value, int) and not isinstance(value, bool):
    return str(value)
  identifier = text_field(fields, name, where)
  if is_blank(identifier):
    raise UserError(f"{where}: field '{name}' is empty or blank; expected some text")
  return identifier


def is_blank(text: str) -> bool:
  """Whether a text has nothing to read: a tokenizer would make nothing of it.

  So are the empty text, white space of any kind, and zero-width, control, format and
  private characters.
  """
  return all(unicodedata.category(char) in _UNSEEN or char >= _UNSEEN_FROM
             or char in _UNSEEN_SYMBOLS for char in text)


def number_as_text(value: Any) -> Any:
  """What people write as a number and mean as a text, as one; all else as it is."""
  if isinstance(value, bool) or not isinstance(value, int | float):
    return value
  return getattr(value, "spelled", str(value)) if math.isfinite(value) else value


def quoted(text: str, most: int = 60) -> str:
  """A text, quoted, for one line of an error: printable, not too long."""
  return repr(text if len(text) <= most else f"{text[:most - 3]}...")


def _like(fields: Mapping[str, Any], name: str) -> str:
  """Points at a field of another name, if one probably holds what `name` should; else says
  which fields there are."""
  if name in fields:
    return " (null)"
  other = synonym(fields, name)
  if other is not None:
    return f" (rename {quoted(other)} to '{name}')"
  # An id that a file lacks is there by now: readers number what has none.
  found = [quoted(other, 20) for other in fields if other != "id"]
  more = ["..."] if len(found) > _MOST_NAMED else []
  return f" (found: {', '.join(found[:_MOST_NAMED] + more)})" if found else ""


def synonym(fields: Iterable[str], name: str) -> str | None:
  """A field of another name that probably holds what `name` should."""
  synonyms = (name, *_OTHER_NAMES.get(name, ()))
  return next((other for other in fields if other.strip().casefold() in synonyms), None)


def _type(value: Any) -> str:
  return ("null" if value is None else "float" if isinstance(value, float)
          else type(value).__name__)
