"""A table of short values in a folder (CSV, TSV) as a document: its rows, line by line.

    Name | Extension.
    Tomas Brellin | 102.

A table with a column of texts holds documents instead, and one with a column of questions
questions (`of_many`); no more than its first rows are looked at to tell.
"""

import itertools
import pathlib

from realm_tf.corpus.readers import table
from realm_tf.corpus.readers.closed_lines import closed
from realm_tf.corpus.readers.gaps import GAP
from realm_tf.corpus.readers.text_file import decode, refuse_other_kinds
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.errors import UserError
from realm_tf.jsonl import synonym
from realm_tf.lines import DAMAGED, plain_suffix, read_lines

KINDS = frozenset((".csv", ".tsv"))
QUESTIONS = frozenset(("question", "questions", "query"))  # columns
_ROWS, _LONGEST = 50, 200  # rows that are looked at, and characters of a value in them


def is_rows(path: pathlib.Path) -> bool:
  """Whether a file is such a table, by its name, its header and its first rows."""
  if plain_suffix(path) not in KINDS:
    return False
  try:
    found = table.table_at(read_lines(path, "text"), path)
    named = [name for name in found.names if name]
    if not table.lacking(found) or QUESTIONS.intersection(named) or len(named) < 2 or (
        synonym(dict.fromkeys(named, ""), "text") or named[0].isdecimal()):
      return False  # documents, of a name that is told, questions, or no header
  except (UserError, *DAMAGED):
    return False
  try:
    longest = max((len(value) for _, row in itertools.islice(found.rows(), _ROWS)
                   for value in row.values()), default=_LONGEST + 1)
  except UserError:
    return True  # what is wrong with it is said when it is read
  return longest <= _LONGEST


def read_rows(data: bytes) -> tuple[str, str]:
  """No title, and the rows, cells between bars, below the names of the columns.

  Raises:
    Unreadable: not text, no CSV, or a row has other columns than the header.
  """
  refuse_other_kinds(data)
  lines = enumerate(decode(data).splitlines(keepends=True), 1)
  try:
    found = table.table_at(lines, "")
    named = [i for i, name in enumerate(found.names) if name]
    rows = [[found.spelled[i] for i in named],
            *(list(values.values()) for _, values in found.rows())]
  except UserError as problem:
    raise Unreadable("not a table", str(problem).removeprefix(":")) from None
  return "", "\n".join(closed(" | ".join(map(_cell, row))) for row in rows)


def _cell(value: str) -> str:
  return " ".join(value.split()).replace(" | ", " / ") or GAP
