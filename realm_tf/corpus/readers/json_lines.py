"""JSON lines: one document per line, with `id`, `text`, and `title`, which may be missing."""

import json
import pathlib
from typing import Iterator

from realm_tf import jsonl
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.lines import plain_suffix

FIELDS = "id, title and text"


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  for row in jsonl.parse_rows(numbered, maker.path, FIELDS):
    yield from maker.make(row.number, row.fields)


def sniff(path: pathlib.Path, first: str) -> bool:
  """Whether it is JSON lines; an empty file is, of no document."""
  start = first.lstrip()
  return (plain_suffix(path) in (".jsonl", ".ndjson") or not start or start.startswith("[")
          or (start.startswith("{") and not _begins_leads(start)))


def _begins_leads(first: str) -> bool:
  """Whether a line that begins an object is not one document."""
  try:
    return all(isinstance(value, dict) for value in json.loads(first).values())
  except (ValueError, RecursionError):
    return True


JSONL = Format(_parse, sniff)
