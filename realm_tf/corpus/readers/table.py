"""Tables with named columns (CSV, and TSV that is not DPR's): `text`, `id` and `title`.

The last two may be missing, other columns are passed over. See `csv_table` for how they may
be written, and `other_names` for what else is read as these.
"""

import csv
import pathlib
from typing import Iterator

from realm_tf import jsonl
from realm_tf.corpus import tsv
from realm_tf.corpus.csv_table import DELIMITERS, CsvTable, names_of
from realm_tf.corpus.readers.maker import MOST_CHARACTERS, Document, Format, Lines, Maker
from realm_tf.corpus.readers.other_names import OPTIONAL, FieldNames
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.lines import plain_suffix

_EXPECTED = ("a header with text, and id and title where there are any, and as many "
             "values in each row")
# A value that a quote opens and none ends is not read to the end of a large file.
csv.field_size_limit(2 * MOST_CHARACTERS)


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  table = table_at(numbered, maker.path)
  names, ours = table.names, _told_by(table.names)
  if not names:
    return
  if lacks := lacking(table):
    raise UserError(f"{table.where}: {lacks}")
  if twice := [name for name in ("title", *ours) if names.count(name) > 1]:
    raise UserError(f"{table.where}: column '{twice[0]}' is there twice; expected it once")
  ours.accept(table.where, maker, dict(zip(names, table.spelled)))
  for number, fields in table.rows():
    yield from maker.make(number, ours.as_ours(number, fields))


def table_at(numbered: Lines, path: PathLike) -> CsvTable:
  """A table of documents, of which the header alone is read."""
  return CsvTable(numbered, path, _EXPECTED, _has_text)


def lacking(table: CsvTable) -> str:
  """What its header lacks, and how to mend it; "": nothing."""
  return ("" if not table.names or _has_text(table.names) else
          jsonl.no_field(table.spelled, "text", "column", OPTIONAL))


def _told_by(names: list[str]) -> FieldNames:
  return FieldNames.told_by(dict.fromkeys(names))


def _has_text(names: list[str]) -> bool:
  return _told_by(names).text in names


def _sniff(path: pathlib.Path, first: str) -> bool:
  kind = plain_suffix(path)
  return kind == ".csv" or not tsv.is_header(first) and (kind == ".tsv" or any(
      set(_told_by(names := names_of(first, delimiter))) <= set(names)
      for delimiter in DELIMITERS))


CSV = Format(_parse, _sniff)
