"""Leads of Wikipedia: one JSON object from titles to `{"title": ..., "extract": ...}`."""

import pathlib
from typing import Iterator

from realm_tf import jsonl
from realm_tf.corpus.readers import json_lines
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.errors import UserError


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  lines = f"or lines each with {json_lines.FIELDS}, which `jq -c .` makes"
  leads = jsonl.parse_object("".join(line for _, line in numbered), str(maker.path),
                             f"an object from titles to leads, {lines}")
  for key, lead in leads.items():
    if not isinstance(lead, dict):
      if key == "data":
        lines = json_lines.OF_SQUAD
      raise UserError(f"{maker.path}: entry {jsonl.quoted(key)}: {type(lead).__name__}; "
                      f"expected an object with title and extract, {lines}")
    yield from maker.make(key, {"title": key, **lead, "id": key}, "extract")


def _sniff(path: pathlib.Path, first: str) -> bool:
  return first.lstrip().startswith("{") and not json_lines.sniff(path, first)


LEADS = Format(_parse, _sniff)
