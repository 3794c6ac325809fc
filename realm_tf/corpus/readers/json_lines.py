"""JSON lines: one document per line, with `text`, and `id` and `title`, which may be missing.

See `other_names` for what else is read as these.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any, Iterator

from realm_tf import jsonl
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.corpus.readers.other_names import OPTIONAL, FieldNames
from realm_tf.errors import UserError
from realm_tf.lines import plain_suffix

FIELDS = "text, and id and title where there are any"
OF_SQUAD = ("or lines with text, which `jq -c '.data[].paragraphs[] | {text: .context}'` "
            "makes of SQuAD")


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  names = None
  for row in jsonl.parse_rows(numbered, maker.path, FIELDS):
    if names is None:
      names = FieldNames.told_by(row.fields)
      if isinstance(row.fields.get("data"), list) and names.text not in row.fields:
        raise UserError(f"{row.where}: expected lines with {FIELDS}, {OF_SQUAD}")
      if lacks := lacking(row.fields):
        raise UserError(f"{row.where}: {lacks}")
      names.accept(row.where, maker)
    yield from maker.make(row.number, names.as_ours(row.number, row.fields))


def lacking(fields: Mapping[str, Any]) -> str:
  """What the first object lacks, and how to mend it; "": nothing."""
  if fields.get(FieldNames.told_by(fields).text) is not None:
    return ""
  return jsonl.no_field(fields, "text", "field", OPTIONAL)


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
