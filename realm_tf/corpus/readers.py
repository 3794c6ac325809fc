"""Readers of documents. They stream, and say where a file is not what it should be."""

import csv
import dataclasses
import gzip
import json
import pathlib
import zlib
from typing import Any, Iterator

from realm_tf.errors import UserError
from realm_tf.files import PathLike, read_json

_MAX_FIELD = 1 << 30  # csv's own limit, 128 KiB, is less than a long article


@dataclasses.dataclass(frozen=True)
class Document:
  """One document; `id` is unique in its corpus, `text` is never blank."""
  id: str
  title: str
  text: str


def _lines(path: PathLike) -> Iterator[tuple[int, str]]:
  """The numbered lines of a UTF-8 file, which may be compressed (.gz)."""
  path = pathlib.Path(path)
  opener = gzip.open if path.suffix == ".gz" else open
  number = 0
  try:
    with opener(path, "rb") as file:
      for number, line in enumerate(file, 1):
        # A byte order mark is what Windows editors leave on the first line.
        yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
  except UnicodeDecodeError as error:
    raise UserError(f"{path}:{number}: not UTF-8 (byte {error.start} of the line); "
                    "expected a UTF-8 text file") from None
  except (EOFError, zlib.error, gzip.BadGzipFile) as error:
    raise UserError(f"{path}: damaged gzip file after line {number} ({error})"
                    ) from None
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _text(value: Any, field: str, where: str, *, blank: bool = False) -> str:
  """`value` if it is a good string; the error names `where` and `field`."""
  if value is None:
    raise UserError(f"{where}: field '{field}' is missing; expected a string")
  if not isinstance(value, str):
    raise UserError(f"{where}: field '{field}' is {type(value).__name__}; "
                    "expected a string")
  if not blank and not value.strip():
    raise UserError(f"{where}: field '{field}' is empty; expected some text")
  try:
    value.encode("utf-8")
  except UnicodeEncodeError:
    raise UserError(f"{where}: field '{field}' holds half a surrogate pair; "
                    "expected valid Unicode") from None
  return value


class _Checked:
  """Makes documents, and refuses an id seen before and a corpus of none."""

  def __init__(self, path: PathLike):
    self._path = path
    self._seen: dict[str, str] = {}

  def document(self, where: str, id: Any, title: Any, text: Any) -> Document:
    id = str(id) if isinstance(id, int) and not isinstance(id, bool) else id
    id = _text(id, "id", where)
    if id in self._seen:
      raise UserError(f"{where}: field 'id': '{id}' is there already, in "
                      f"{self._seen[id]}; expected each id once")
    self._seen[id] = where
    title = "" if title is None else title
    return Document(id, _text(title, "title", where, blank=True),
                    _text(text, "text", where))

  def finish(self) -> None:
    if not self._seen:
      raise UserError(f"{self._path}: an empty corpus; expected at least one document")


def read_jsonl(path: PathLike) -> Iterator[Document]:
  """Reads one JSON object per line: `id`, `text`, and `title`, which may be missing.

  Blank lines are passed over; a path that ends in .gz is decompressed.

  Raises:
    UserError: names file, line and field.
  """
  checked = _Checked(path)
  for number, line in _lines(path):
    if not line.strip():
      continue
    where = f"{path}:{number}"
    try:
      value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
      raise UserError(f"{where}: not valid JSON ({error}); expected one object with "
                      "id, title and text per line") from None
    if not isinstance(value, dict):
      raise UserError(f"{where}: JSON {type(value).__name__}; expected an object with "
                      "id, title and text")
    yield checked.document(where, value.get("id"), value.get("title"),
                           value.get("text"))
  checked.finish()


def read_tsv(path: PathLike) -> Iterator[Document]:
  """Reads DPR's passages: tab-separated `id`, `text`, `title` under a header line.

  Raises:
    UserError: names file, line and field.
  """
  csv.field_size_limit(_MAX_FIELD)
  checked = _Checked(path)
  rows = csv.reader((line for _, line in _lines(path)), delimiter="\t")
  try:
    header = next(rows, None)
    if header is None:
      checked.finish()
    if header != ["id", "text", "title"]:
      raise UserError(f"{path}:1: header {header}; expected id, text and title, "
                      "separated by tabs")
    for row in rows:
      where = f"{path}:{rows.line_num}"
      if not row:
        continue
      if len(row) != 3:
        raise UserError(f"{where}: {len(row)} fields; expected id, text and title, "
                        "separated by tabs")
      yield checked.document(where, row[0], row[2], row[1])
  except csv.Error as error:
    raise UserError(f"{path}:{rows.line_num}: not tab-separated values ({error})"
                    ) from None
  checked.finish()


def read_wikipedia_leads(path: PathLike) -> Iterator[Document]:
  """Reads a JSON object from titles to `{"title": ..., "extract": ...}`.

  Raises:
    UserError: names file, entry and field.
  """
  leads = read_json(path)
  if not isinstance(leads, dict):
    raise UserError(f"{path}: JSON {type(leads).__name__}; expected an object from "
                    "titles to leads")
  checked = _Checked(path)
  for key, lead in leads.items():
    where = f"{path}: entry '{key}'"
    if not isinstance(lead, dict):
      raise UserError(f"{where}: {type(lead).__name__}; expected an object with title "
                      "and extract")
    if "extract" not in lead:
      raise UserError(f"{where}: field 'extract' is missing; expected a string")
    text = _text(lead["extract"], "extract", where)
    yield checked.document(where, key, lead.get("title", key), text)
  checked.finish()


def _first_line(path: PathLike) -> str:
  for _, line in _lines(path):
    if line.strip():
      return line
  raise UserError(f"{path}: an empty corpus; expected at least one document")


def read_documents(path: PathLike) -> Iterator[Document]:
  """Reads documents of any kind known here: by the file's name, else by its start.

  Raises:
    UserError: as the readers do, or where the kind of the file is not known.
  """
  path = pathlib.Path(path)
  suffixes = [suffix for suffix in path.suffixes[-2:] if suffix != ".gz"]
  by_suffix = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".tsv": read_tsv}
  reader = by_suffix.get(suffixes[-1]) if suffixes else None
  if reader is not None:
    return reader(path)
  first = _first_line(path)
  if first.split("\t") == ["id", "text", "title\n"]:
    return read_tsv(path)
  try:
    start = json.loads(first)
  except json.JSONDecodeError:
    if first.lstrip().startswith("{") and path.suffix != ".gz":
      return read_wikipedia_leads(path)
    raise UserError(
        f"{path}: not a kind of file known here; expected JSON lines (.jsonl), DPR's "
        "tab-separated passages (.tsv) or a JSON object of leads (.json)") from None
  if isinstance(start, dict) and not any(isinstance(v, dict) for v in start.values()):
    return read_jsonl(path)
  return read_wikipedia_leads(path)
