"""Folders of documents: .txt, .md, .html, .pdf, .docx, .xlsx, tables, plain or compressed.

The path of a file, relative to the folder, is the id of its document: what changed is
replaced where the folder is added again. Links are not followed, hidden files are not read.
"""

import collections
import contextlib
import itertools
import os
import pathlib
from typing import Any, Iterator, NamedTuple

from absl import logging

from realm_tf.corpus.readers import of_many, rows, text_file
from realm_tf.corpus.readers.children import Children
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.readers.walk import files_of
from realm_tf.errors import UserError
from realm_tf.extras import require
from realm_tf.lines import DAMAGED, open_packed, plain_suffix
from realm_tf.parallel import in_order

_MOST_BYTES = 1 << 27  # of a file, unpacked
_SECONDS = 120.0  # of processor time, for one file
_MOST_LISTED = 100_000  # files that are counted
_HERE = "realm_tf.corpus.readers"


class _Kind(NamedTuple):
  """How files of a kind are parsed: bytes -> title and text."""
  function: str
  libraries: tuple[str, ...] = ()


_HTML = _Kind(f"{_HERE}.html:read_html", ("lxml",))
_MARKDOWN = _Kind(f"{_HERE}.markdown:read_markdown", ("lxml", "markdown_it"))
_TEXT = _Kind(f"{_HERE}.text_file:read_plain_text")
_ROWS = _Kind(f"{_HERE}.rows:read_rows")
_KINDS = {
    ".txt": _TEXT, ".text": _TEXT, ".md": _MARKDOWN, ".markdown": _MARKDOWN,
    ".html": _HTML, ".htm": _HTML, ".xhtml": _HTML,
    ".pdf": _Kind(f"{_HERE}.pdf:read_pdf", ("pypdf",)),
    ".docx": _Kind(f"{_HERE}.docx:read_docx", ("docx",)),
    ".xlsx": _Kind(f"{_HERE}.xlsx:read_xlsx", ("openpyxl",))}
_SINGLE = frozenset(kind for kind in _KINDS if kind not in (".txt", ".text"))


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  del numbered  # these are other files
  root = pathlib.Path(maker.path)
  if root.is_file() and plain_suffix(root) in rows.KINDS:
    logging.warning("%s: no column 'text': its rows are one document, a table", root)
  tables: list[pathlib.PurePosixPath] = []
  base, names = files_of(root, maker)
  above = pathlib.PurePosixPath() if maker.within is None else pathlib.PurePosixPath(
      os.path.relpath(os.path.realpath(base), os.path.realpath(maker.within)))

  def read(name: pathlib.PurePosixPath) -> tuple[pathlib.PurePosixPath, Any]:
    try:
      return name, _read(base / name, children)
    except Unreadable as problem:
      return name, problem

  with Children() as children, contextlib.closing(
      in_order(read, _documents(base, names, maker, tables))) as results:
    for name, result in results:
      if isinstance(result, Unreadable):
        maker.skip(name, result.reason, result.detail)
        continue
      title, text = result
      yield from maker.make(name, {
          "id": str(above / name), "title": title or _stem(name), "text": text})
  if maker.report.is_empty() and not maker.num_made:
    raise UserError(f"{root}: an empty corpus: a folder without anything cannot be read; "
                    f"expected files that end in {', '.join(_KINDS)}")
  if tables:
    _tell(root, tables, maker.num_made, of_many.advice(base, tables))


def _tell(root: pathlib.Path, tables: list[pathlib.PurePosixPath], num_made: int,
          advice: of_many.Advice) -> None:
  """Says that files of many documents were left out; refuses a folder that has no other."""
  if not num_made:
    said = "; ".join(advice.said("read by their own names: "))
    raise UserError(f"{root}: an empty corpus: no documents in it, but files of many "
                    f"documents: {said}")
  each, by = (" each", "themselves") if len(tables) > 1 else ("", "itself")
  said = "; ".join(advice.said(f"to be read by {by}: "))
  logging.warning("%s: left out: %d that may hold many documents%s, %s", root, len(tables),
                  each, said)


def _documents(base: pathlib.Path, names: Iterator[pathlib.PurePosixPath], maker: Maker,
               tables: list[pathlib.PurePosixPath]) -> Iterator[pathlib.PurePosixPath]:
  """Those of the files that are documents by their names; `tables` gets those of many."""
  for name in names:
    kind = plain_suffix(name)
    if not _is_read(base, name):
      is_of_many = kind in of_many.KINDS
      maker.leave_out(name, f"other kinds of files ({_shown_kind(name) or 'no suffix'})",
                      of_many.in_detail(base / name) if is_of_many else "")
      tables += [name] if is_of_many else []
    elif not _is_utf8(name):
      maker.skip(name, "name is not UTF-8")
    else:
      require(_kind(name).libraries, maker.where(name), "documents")
      yield name


def _is_read(base: pathlib.Path, name: pathlib.PurePosixPath) -> bool:
  return plain_suffix(name) in _KINDS or rows.is_rows(base / name)


def _kind(name: pathlib.PurePath) -> _Kind:
  return _KINDS.get(plain_suffix(name), _ROWS)


def _shown_kind(name: pathlib.PurePosixPath) -> str:
  """The suffix as it is spelled; a number, as in Apache-2.0, is none."""
  kind = next((suffix for suffix in reversed(name.suffixes)
               if suffix.lower() == plain_suffix(name)), "")
  return kind if any(map(str.isalpha, kind)) else ""


def listed(root: pathlib.Path) -> str:
  """What a folder holds by the names of its files, in words; of tables the first rows."""
  maker = Maker(root, strict=False)
  count, others, tables = 0, collections.Counter[str](), list[pathlib.PurePosixPath]()
  names = files_of(root, maker)[1]
  for name in itertools.islice(names, _MOST_LISTED):
    is_read = _is_read(root, name)
    count += is_read
    others.update([] if is_read else [_shown_kind(name)])
    tables += [name] if not is_read and plain_suffix(name) in of_many.KINDS else []
  advice = of_many.advice(root, tables)
  more = " or more" if next(names, None) else ""
  left_out = ", ".join(f"{number} {kind or 'without a suffix'}"
                       for kind, number in others.most_common())
  return "; ".join([f"{count}{more} {'file' if count == 1 else 'files'} to read",
                    *([f"left out: {left_out}"] if left_out else []),
                    *advice.said("each read by itself: ")])


def _is_utf8(name: pathlib.PurePosixPath) -> bool:
  try:
    return bool(str(name).encode())
  except UnicodeEncodeError:
    return False


def _read(path: pathlib.Path, children: Children) -> tuple[str, str]:
  """Title and text of a file."""
  try:
    with open_packed(path) as (file, _):
      data = file.read(_MOST_BYTES + 1)
  except DAMAGED as error:
    reason = getattr(error, "strerror", None)
    raise Unreadable("cannot be read" if reason else "damaged",
                     reason or str(error)) from None
  if len(data) > _MOST_BYTES:
    raise Unreadable(f"larger than {_MOST_BYTES >> 20} MiB")
  kind = _kind(path)
  if not kind.libraries:
    return (rows.read_rows if kind is _ROWS else text_file.read_plain_text)(data)
  title, text = children.call(kind.function, data, _SECONDS)
  return title, text


def _stem(name: pathlib.PurePosixPath) -> str:
  """The name without the suffixes that tell of its kind, as words."""
  while name.suffix and plain_suffix(name) in {*_KINDS, *rows.KINDS}:
    name = name.with_suffix("")
  return name.name.replace("_", " ")


def _sniff_path(path: pathlib.Path) -> bool:
  return path.is_dir() or (path.is_file() and (
      plain_suffix(path) in _SINGLE or rows.is_rows(path)))


FOLDER = Format(_parse, sniff_path=_sniff_path)
