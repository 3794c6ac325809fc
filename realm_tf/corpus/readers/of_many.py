"""Files of many documents, as tables are, in a folder: how each is read by itself."""

import pathlib
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from realm_tf import jsonl
from realm_tf.corpus.readers import json_lines, rows, table
from realm_tf.errors import UserError
from realm_tf.lines import plain_suffix, read_lines

KINDS = frozenset((".jsonl", ".ndjson", ".json", ".tsv", ".csv", ".xml"))
_SHOWN = 3  # files that are named, and looked into


class Advice(NamedTuple):
  """What is said of such files: the options that read them, and what others lack."""
  options: str
  problems: str

  def said(self, before: str) -> list[str]:
    """What there is to say: the options behind some words, and the problems."""
    return [*([before + self.options] if self.options else []),
            *([self.problems] if self.problems else [])]


def advice(base: pathlib.Path, names: Sequence[pathlib.PurePosixPath]) -> Advice:
  """Of the first few of these files below a folder."""
  lacks = {base / name: lacking(base / name) for name in names[:_SHOWN]}
  options = [option(path) for path, problem in lacks.items() if not problem]
  more = ["..."] if options and len(names) > _SHOWN else []
  return Advice(", ".join(options + more), "; ".join(
      f"{path}: {problem}" for path, problem in lacks.items() if problem))


def in_detail(path: pathlib.Path) -> str:
  """The same of one file, without its name."""
  return lacking(path) or f"read by itself: {option(path)}"


def option(path: pathlib.Path) -> str:
  """How the file is named on a command line."""
  return f"--documents={shlex.quote(str(path))}"


def lacking(path: pathlib.Path) -> str:
  """Why there are no documents in a file, where the names of its columns or fields say so.

  No more of it is read: what else is wrong, its own reader says.
  """
  kind = plain_suffix(path)
  try:
    numbered = read_lines(path, "text")
    if kind in (".csv", ".tsv"):
      found = table.table_at(numbered, path)
      asks = table.lacking(found) and rows.QUESTIONS.intersection(found.names)
      return "holds questions, see --questions" if asks else table.lacking(found)
    if kind in (".jsonl", ".ndjson"):
      row = next(jsonl.parse_rows(numbered, path, json_lines.FIELDS), None)
      return json_lines.lacking(row.fields) if row else ""
  except UserError:
    pass
  return ""
