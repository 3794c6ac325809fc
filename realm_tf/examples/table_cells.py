"""What a question about a table may ask for: a cell, by the name of its column and its row.

    Name | Role | Extension.              what | Extension | Tomas Brellin | -> 102
    Tomas Brellin | Head of engineering | 102.   who | Name | 102 | -> Tomas Brellin

The first line of a table (`table_lines`) names the columns, and the first cell of a line what
the others are of. Values of fields ("Role: Head of sales", `field_values`) are asked for
alike. Shape letter: P cells.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.readers.gaps import GAP
from realm_tf.corpus.store import Corpus
from realm_tf.examples import field_values
from realm_tf.examples.askable_spans import Kind, kind_of
from realm_tf.examples.salient_support import parts_of
from realm_tf.text.table_lines import BAR, Place, tables

_GAP = GAP.encode()


class Cells(NamedTuple):
  """P cells that can be asked for, in the order of the blocks: pieces of the bodies."""
  row: np.ndarray  # [P] int32: block
  start: np.ndarray  # [P] int32
  end: np.ndarray  # [P] int32: exclusive, here and below
  column_start: np.ndarray  # [P] int32: the name of its column
  column_end: np.ndarray  # [P] int32
  # The cell that tells its line from the others; from 0 to 0: the title.
  by_start: np.ndarray  # [P] int32
  by_end: np.ndarray  # [P] int32


def table_cells(corpus: Corpus) -> Cells:
  """All of a corpus; kept beside a store. Some blocks are looked at at a time."""
  def make(new: Writer) -> None:
    for first, end in parts_of(corpus):
      found = [cell for row in range(first, end) for cell in _of_block(corpus, row)]
      new.append(**dict(zip(Cells._fields, np.array(found, np.int32).reshape(-1, 7).T)))

  return Cells(**derived(corpus, "table_cells", {"version": 2}, make))


def cell_kind(text: str, names_line: bool) -> Kind:
  """What decides the question word: "how many" fits few columns that hold numbers."""
  if kind_of(text) == Kind.DATE:
    return Kind.DATE
  return Kind.NAME if names_line else Kind.PHRASE


def _of_block(corpus: Corpus, row: int) -> Iterator[tuple[int, ...]]:
  text = corpus.texts[row]
  asked = [*(questions(text) if BAR in text else ()), *field_values.questions(text)]
  if not asked:
    return
  starts, ends = corpus.body_starts.row(row), corpus.body_ends.row(row)
  for places in asked:
    pieces = [(int(np.searchsorted(starts, first)), int(np.searchsorted(ends, last, "right")))
              if (first, last) != field_values.TITLE else field_values.TITLE
              for first, last in places]
    if all(first < last or (first, last) == field_values.TITLE for first, last in pieces):
      yield row, *(edge for piece in pieces for edge in piece)


def questions(text: bytes) -> Iterator[tuple[Place, Place, Place]]:
  """The cell that is asked for, the name of its column, and the cell it is asked by.

  Of a name, or a value that several lines have, nobody could tell which of them is meant.
  """
  for table in tables(text):
    header, name = table[0].cells, text[slice(*table[0].place)]
    lines = [line.cells for line in table[1:] if text[slice(*line.place)] != name]
    columns = [[text[slice(*cell)] for cell in column] for column in zip(*lines)]
    for line in lines:
      for j in range(1, len(header)):
        for asked, by in ((j, 0), (0, j)):
          value = text[slice(*line[by])]
          if value != _GAP and columns[by].count(value) == 1:
            yield line[asked], header[asked], line[by]
