"""Readers of documents. They stream, and say where a file is not what it should be.

A format has a name, `corpus.format`; another one is a `Format` that is registered in
`realm_tf.registry.READERS`: see docs/extending.md.
"""

import dataclasses
import itertools
import json
import pathlib
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple

from absl import logging

from realm_tf import jsonl
from realm_tf.corpus import tsv
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.lines import COMPRESSED_SUFFIXES, read_lines
from realm_tf.registry import READERS

_FIELDS = "id, title and text"
_EXPECTED = (f"JSON lines with {_FIELDS} (.jsonl), DPR's tab-separated passages (.tsv) or a "
             "JSON object of leads (.json)")
_BLANK_SHOWN = 3

Lines = Iterable[tuple[int, str]]


@dataclasses.dataclass(frozen=True)
class Document:
  """One document; `id` is unique in its corpus, `text` is never blank."""
  id: str
  title: str
  text: str


class Maker:
  """Makes documents of fields: each id once, what has a blank text passed over."""

  def __init__(self, path: PathLike, strict: bool):
    self.path, self._strict = path, strict
    self._places: dict[str, int | str] = {}
    self._num_blank = 0
    self._blank: list[str] = []  # the first few

  def make(self, place: int | str, fields: Mapping[str, Any], text: str = "text"
           ) -> Iterator[Document]:
    """Yields the document, if its text is not blank.

    Args:
      place: number of the line, or name of the entry, where it stands.
      fields: of the document.
      text: the name of the field that holds the text.
    """
    where = self._where(place)
    name = jsonl.id_field(fields, where)
    if name in self._places:
      raise UserError(f"{where}: field 'id': {jsonl.shown(name)} is there already, in "
                      f"{self._where(self._places[name])}; expected each id once")
    self._places[name] = place
    title = "" if fields.get("title") is None else jsonl.text_field(fields, "title", where)
    body = jsonl.text_field(fields, text, where)
    if not jsonl.is_blank(body):
      yield Document(name, title, body)
    elif self._strict:
      raise UserError(f"{where}: field '{text}' is empty or blank; expected some text")
    else:
      self._num_blank += 1
      if self._num_blank <= _BLANK_SHOWN:
        self._blank.append(f"{jsonl.shown(name)} ({self._of(place)})")

  def finish(self) -> None:
    """Says how many were passed over; refuses a corpus of none."""
    total, more = len(self._places), self._num_blank - len(self._blank)
    named = ", ".join(self._blank) + (f" and {more} more" if more else "")
    if self._num_blank == total:
      blank = f": the text of {named} is blank" if total else ""
      raise UserError(f"{self.path}: an empty corpus{blank}; expected at least one document "
                      "with text")
    if self._num_blank:
      logging.warning("%s: %d of %d documents passed over, for their text is empty or blank: "
                      "%s; --strict refuses them", self.path, self._num_blank, total, named)

  def _where(self, place: int | str) -> str:
    return (f"{self.path}:{place}" if isinstance(place, int)
            else f"{self.path}: {self._of(place)}")

  def _of(self, place: int | str) -> str:
    return f"line {place}" if isinstance(place, int) else f"entry {jsonl.shown(place)}"


class Format(NamedTuple):
  """How documents of one format are read.

  Attributes:
    parse: yields what `Maker.make` makes of the numbered lines of a file. Lines are read
      when they are asked for: what is no text opens `Maker.path` itself.
    sniff: whether a file of that name whose first line, of those that are not blank, is
      this one is of the format.
  """
  parse: Callable[[Lines, Maker], Iterator[Document]]
  sniff: Callable[[pathlib.Path, str], bool] = lambda path, first: False


def read_documents(path: PathLike, strict: bool = False, format: str = "auto"
                   ) -> Iterator[Document]:
  """Reads documents.

  A document whose text is blank (see `jsonl.is_blank`) is passed over; how many there were,
  and which were the first, is logged at the end.

  Args:
    path: of the file, which may be compressed, and may be a pipe.
    strict: refuse a blank text instead.
    format: a name in `registry.READERS`; "auto" tells it by first line and name.

  Raises:
    UserError: as the readers do, or where the kind of the file is not known.
  """
  return _make(READERS[format].parse, read_lines(path, _EXPECTED), path, strict)


def as_documents(values: Iterable[Document | Mapping[str, Any] | str], strict: bool = True
                 ) -> Iterator[Document]:
  """Documents from what a program has at hand.

  Args:
    values: texts, or objects with `text`, and `title` and `id` where they have them; what
      has no id is numbered from 0.
    strict: refuse a blank text, instead of passing it over.

  Raises:
    UserError: names the document, by its number from 0, and the field.
  """
  maker = Maker("documents", strict)
  for number, value in enumerate(values):
    fields = (dataclasses.asdict(value) if isinstance(value, Document)
              else {"text": value} if isinstance(value, str) else value)
    yield from maker.make(str(number), {"id": str(number), **fields})
  maker.finish()


def read_jsonl(path: PathLike, strict: bool = False) -> Iterator[Document]:
  """Reads one JSON object per line: `id`, `text`, and `title`, which may be missing.

  Blank lines are passed over; blank texts are as in `read_documents`.

  Raises:
    UserError: names file, line and field.
  """
  return _make(_jsonl, read_lines(path, f"JSON lines with {_FIELDS}"), path, strict)


def read_tsv(path: PathLike, strict: bool = False) -> Iterator[Document]:
  """Reads DPR's passages: tab-separated `id`, `text`, `title` under a header line.

  Quotes are read as `corpus.tsv` says; blank texts are as in `read_documents`.

  Raises:
    UserError: names file, line and field.
  """
  return _make(_tsv, read_lines(path, "DPR's tab-separated passages"), path, strict)


def read_wikipedia_leads(path: PathLike, strict: bool = False) -> Iterator[Document]:
  """Reads a JSON object from titles to `{"title": ..., "extract": ...}`.

  Raises:
    UserError: names file, entry and field.
  """
  return _make(_leads, read_lines(path, "a JSON object of leads"), path, strict)


def read_ids(path: PathLike) -> list[str]:
  """Reads ids of documents, one per line, without the white space around them.

  Raises:
    UserError: as `lines.read_lines`.
  """
  ids = (line.strip() for _, line in read_lines(path, "one document id per line"))
  return [name for name in ids if name]


def _make(parse: Callable[[Lines, Maker], Iterator[Document]], numbered: Lines,
          path: PathLike, strict: bool) -> Iterator[Document]:
  maker = Maker(path, strict)
  yield from parse(numbered, maker)
  maker.finish()


def _sniffed(numbered: Lines, maker: Maker) -> Iterator[Document]:
  """Reads in the first format that knows the file by its name and first line."""
  numbered = iter(numbered)
  first = next((line for line in numbered if line[1].strip()), (0, ""))
  for name in READERS:
    if READERS[name].sniff(pathlib.Path(maker.path), first[1]):
      yield from READERS[name].parse(itertools.chain([first], numbered), maker)
      return
  hint = "" if "\t" not in first[1] else (
      "; its first line is not DPR's header, id, text and title")
  raise UserError(f"{maker.path}: not a kind of file known here; expected {_EXPECTED}{hint}")


def _suffix(path: pathlib.Path) -> str:
  return next((suffix for suffix in reversed(path.suffixes)
               if suffix.lower() not in COMPRESSED_SUFFIXES), "").lower()


def _is_tsv(path: pathlib.Path, first: str) -> bool:
  return tsv.is_header(first) or _suffix(path) == ".tsv"


def _is_jsonl(path: pathlib.Path, first: str) -> bool:
  start = first.lstrip()
  return (_suffix(path) in (".jsonl", ".ndjson") or not start or start.startswith("[")
          or (start.startswith("{") and not _begins_leads(start)))


def _is_leads(path: pathlib.Path, first: str) -> bool:
  return first.lstrip().startswith("{") and not _is_jsonl(path, first)


def _begins_leads(first: str) -> bool:
  """Whether a line that begins an object is not one document."""
  try:
    return all(isinstance(value, dict) for value in json.loads(first).values())
  except (ValueError, RecursionError):
    return True


def _jsonl(numbered: Lines, maker: Maker) -> Iterator[Document]:
  for row in jsonl.parse_rows(numbered, maker.path, _FIELDS):
    yield from maker.make(row.number, row.fields)


def _tsv(numbered: Lines, maker: Maker) -> Iterator[Document]:
  for number, values in tsv.read_records(numbered, maker.path):
    yield from maker.make(number, dict(zip(tsv.HEADER, values)))


def _leads(numbered: Lines, maker: Maker) -> Iterator[Document]:
  lines = f"or lines each with {_FIELDS}, which `jq -c .` makes"
  leads = jsonl.parse_object("".join(line for _, line in numbered), str(maker.path),
                             f"an object from titles to leads, {lines}")
  for key, lead in leads.items():
    if not isinstance(lead, dict):
      raise UserError(f"{maker.path}: entry {jsonl.shown(key)}: {type(lead).__name__}; "
                      f"expected an object with title and extract, {lines}")
    yield from maker.make(key, {"title": key, **lead, "id": key}, "extract")


AUTO = Format(_sniffed)
TSV = Format(_tsv, _is_tsv)
JSONL = Format(_jsonl, _is_jsonl)
LEADS = Format(_leads, _is_leads)
