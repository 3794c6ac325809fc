"""What WikiExtractor writes with --json: folders AA, AB, ... of files wiki_00, wiki_01, ...

Each line holds a page; titles are kept as ORQA kept them.
"""

import html
import pathlib
import re
from typing import Iterator

from realm_tf import jsonl
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.corpus.readers.text_file import without_title
from realm_tf.corpus.readers.titles import no_article
from realm_tf.corpus.readers.walk import files_of
from realm_tf.lines import read_lines

_EXPECTED = "id, title and text, as WikiExtractor writes with --json"
_FILE = re.compile(r"wiki_\d+(\.gz|\.bz2|\.xz)?")
# Of --links and --html, which are escaped as the text is.
_TAG = re.compile(r"</?(?:a|b|i|h[1-6]|ul|ol|li|dl|dt|dd)\b[^<>]*>")
# What versions before 3.0 put before headings and what stands in lists.
_LABEL = re.compile(r"^(?:Section::::|[A-Z]+::::[*#:;.-]*[ ]?)", re.MULTILINE)


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  del numbered  # these are other files
  base, names = files_of(pathlib.Path(maker.path), maker)
  for name in names:
    if not _FILE.fullmatch(name.name):
      maker.leave_out(name, "other kinds of files")
      continue
    lines = read_lines(base / name, f"JSON lines with {_EXPECTED}")
    for row in jsonl.parse_rows(lines, base / name, _EXPECTED):
      place = name.with_name(f"{name.name}:{row.number}")
      title, text = (jsonl.text_field(row.fields, field, row.where)
                     for field in ("title", "text"))
      title = html.unescape(title)  # it is as the dump's XML has it: AT&amp;T
      if reason := no_article(title):
        maker.leave_out(place, reason)
        continue
      text = _LABEL.sub("", _TAG.sub("", html.unescape(text)))
      yield from maker.make(place, {
          **row.fields, "title": title, "text": without_title(title, text)})


def _sniff_path(path: pathlib.Path) -> bool:
  if not path.is_dir():
    return path.is_file() and bool(_FILE.fullmatch(path.name))
  return any(_FILE.fullmatch(file.name) for pattern in ("wiki_*", "*/wiki_*")
             for file in path.glob(pattern))


WIKIEXTRACTOR = Format(_parse, sniff_path=_sniff_path)
