"""DPR's passages (`psgs_w100.tsv`): `id`, `text`, `title` between tabs, under a header.

Quotes are read as `realm_tf.corpus.tsv` says.
"""

import pathlib
from typing import Iterator

from realm_tf.corpus import tsv
from realm_tf.corpus.readers.maker import Document, Format, Lines, Maker
from realm_tf.lines import plain_suffix


def _parse(numbered: Lines, maker: Maker) -> Iterator[Document]:
  for number, values in tsv.read_records(numbered, maker.path):
    yield from maker.make(number, dict(zip(tsv.HEADER, values)))


def _sniff(path: pathlib.Path, first: str) -> bool:
  return tsv.is_header(first) or plain_suffix(path) == ".tsv"


TSV = Format(_parse, _sniff)
