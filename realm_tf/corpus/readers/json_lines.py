"""JSON lines: one document per line, with `id`, `text`, and `title`, which may be missing.

See `other_names` for what else is read as these.
"""

import json
import pathlib
from typing import Iterator

from realm_tf import jsonl
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.corpus.readers.other_names import FieldNames
from realm_tf.errors import UserError
from realm_tf.lines import plain_suffix

FIELDS = "id, title and text"
OF_SQUAD = ("or lines with text, which `jq -c '.data[].paragraphs[] | {text: .context}'` "
            "makes of SQuAD")


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  names = None
  for row in jsonl.parse_rows(numbered, maker.path, FIELDS):
    if names is None:
      names = FieldNames.told_by(row.fields)
      if isinstance(row.fields.get("data"), list) and names.text not in row.fields:
        raise UserError(f"{row.where}: expected lines with {FIELDS}, {OF_SQUAD}")
      names.accept(row.where, maker)
    yield from maker.make(row.number, names.as_ours(row.number, row.fields))


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
