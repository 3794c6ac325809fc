"""Readers of documents. They stream, and say where a file is not what it should be.

A format has a name, `corpus.format`, and a file here; another one is a `Format` that is
registered in `realm_tf.registry.READERS`: see docs/extending.md.
"""

import dataclasses
import itertools
import pathlib
from typing import Any, Iterable, Iterator, Mapping

from realm_tf.corpus.readers import file_folder
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.corpus.readers.reading_report import ReadingReport
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.lines import plain_suffix, read_lines
from realm_tf.registry import READERS

__all__ = ["AUTO", "Document", "Format", "Maker", "ReadingReport",
           "as_documents", "in_words", "is_of_folder", "read_documents", "read_ids"]
_EXPECTED = ("JSON lines with text, and id and title where there are any (.jsonl), a table "
             "with these columns (.csv, .tsv), DPR's tab-separated passages (.tsv), a JSON "
             "object of leads (.json), a dump of MediaWiki (.xml), a document (.txt, .md, "
             ".html, .pdf, .docx) or a folder of those")
_COLUMNS = 3  # between tabs, from which on a line is more like one of a table than of a text


def read_documents(path: PathLike, strict: bool = False, format: str = "auto",
                   report: ReadingReport | None = None, within: PathLike | None = None,
                   scratch: PathLike | None = None) -> Iterator[Document]:
  """Reads documents.

  A document whose text is blank (see `jsonl.is_blank`), or which cannot be read while
  others beside it can, is passed over; how many there were, and which were the first, is
  logged at the end.

  Args:
    path: of a file, which may be compressed, and may be a pipe; or of a folder.
    strict: refuse what would be passed over.
    format: a name in `registry.READERS`; "auto" tells it by first line and name.
    report: takes each document that is left out, and why.
    within: a folder whose documents are read again in part: where `path` `is_of_folder`.
    scratch: a folder on whose disk ids lie meanwhile, some 60 bytes each, where there are
      many; by default that for temporary files. One that is there twice is refused when
      both have been read, or at the end.

  Raises:
    UserError: as the readers do, or where the kind of the file is not known.
  """
  maker = Maker(path, strict, report, within, scratch)
  format = format if within is None else "folder"
  yield from READERS[format].parse(read_lines(path, _EXPECTED), maker)
  maker.finish()


def is_of_folder(path: PathLike) -> bool:
  """Whether a file or folder is what the format `folder` reads of a folder above it."""
  path = pathlib.Path(path)
  kind = next((name for name in READERS if READERS[name].sniff_path(path)), "")
  return kind == "folder" or _is_text(path)


def in_words(path: PathLike, format: str = "auto") -> str:
  """What a folder of documents holds, by the names of its files; "" for all else."""
  path = pathlib.Path(path)
  kind = format if format != "auto" else next(
      (name for name in READERS if READERS[name].sniff_path(path)), "")
  return file_folder.listed(path) if kind == "folder" and path.is_dir() else ""


def _is_text(path: pathlib.Path) -> bool:
  return path.is_file() and plain_suffix(path) in (".txt", ".text")


def as_documents(values: Iterable[Document | Mapping[str, Any] | str], strict: bool = True
                 ) -> Iterator[Document]:
  """Documents from what a program has at hand.

  Args:
    values: texts, or objects with `text`, and `title` and `id` where they have them; what
      has no id is numbered from 0.
    strict: refuse a blank text, instead of passing it over.

  Raises:
    UserError: names the document, by its number from 0, and the field; or they are no list.
  """
  if isinstance(values, (str, bytes, Mapping)):
    raise UserError("documents: expected a list of texts or objects, got a single one: write "
                    "[text]")
  maker = Maker("documents", strict)
  for number, value in enumerate(values):
    fields = (dataclasses.asdict(value) if isinstance(value, Document)
              else {"text": value} if isinstance(value, str) else value)
    if not isinstance(fields, Mapping):
      raise UserError(f"{maker.where(str(number))}: {type(value).__name__}; expected a text, "
                      "or an object with text")
    yield from maker.make(str(number), {"id": str(number), **fields})
  maker.finish()


def read_ids(path: PathLike) -> list[str]:
  """Reads ids of documents, one per line, as they stand there.

  Raises:
    UserError: as `lines.read_lines`.
  """
  lines = read_lines(path, "one document id per line")
  return [line.rstrip("\r\n") for _, line in lines if line.strip()]


def _sniffed(numbered: Lines, maker: Maker) -> Iterator[Document]:
  """Reads in the first format that knows the file by its name and first line.

  What no other one knows, and is a text by its name, is a document: as in a folder.
  """
  path = pathlib.Path(maker.path)
  for name in READERS:
    if READERS[name].sniff_path(path):
      yield from READERS[name].parse(numbered, maker)
      return
  numbered, is_text = iter(numbered), _is_text(path)
  try:
    first = next((line for line in numbered if line[1].strip()), (0, ""))
  except UserError:  # a document may be in UTF-16, or is skipped and named
    if not is_text:
      raise
    yield from READERS["folder"].parse(numbered, maker)
    return
  for name in READERS:
    if READERS[name].sniff(path, first[1]):
      yield from READERS[name].parse(itertools.chain([first], numbered), maker)
      return
  is_table = first[1].count("\t") >= _COLUMNS - 1
  if is_text and not is_table:
    yield from READERS["folder"].parse(numbered, maker)
    return
  hint = ("" if "\t" not in first[1] else
          "; its first line is not a header with text between tabs" + (
              "; set config.corpus.format=folder where it is one text" if is_text else ""))
  raise UserError(f"{path}: not a kind of file known here; expected {_EXPECTED}{hint}")


AUTO = Format(_sniffed)
