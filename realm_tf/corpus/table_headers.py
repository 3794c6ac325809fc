"""A table that is cut goes on below its header: a row alone says of no cell what it is.

Where a block would begin with a row, the line that names the columns is written before it
once more, in the text of the document itself: so a block stays a part of it as it stands.
"""

import numpy as np

from realm_tf.text.table_lines import BAR, tables

_MOST_OF_ROOM = 3  # a header takes a third of a block at most


def may_be_cut(text: str) -> bool:
  """Whether it is worth a look: few texts hold tables."""
  return text.count(BAR.decode()) > 2


def with_headers(data: bytes, starts: np.ndarray, sentences: list[int], room: int) -> bytes:
  """The text with the header of a table before each row that begins a block.

  Args:
    data: the text.
    starts: [T] int, where each token begins, in bytes.
    sentences: tokens that sentences begin with, from 0, and T; cut to the room.
    room: most tokens of a block.
  """
  headers = {}  # token that begins a row -> where the header stands, and its tokens
  for header, *rows in tables(data):
    first, *own = np.searchsorted(
        starts, [line.place[0] for line in (header, *rows)]).tolist()
    if own[0] - first <= room // _MOST_OF_ROOM:
      headers.update(dict.fromkeys(own, (header.place, own[0] - first)))
  parts, written, first, taken = [], 0, 0, 0
  bounds = unparted(data, starts, sentences, room)
  for start, end in zip(bounds, bounds[1:]):
    if end - first + taken > room and start > first:
      first, taken = start, 0
      (begin, stop), size = headers.get(start, ((0, 0), 0))
      if size and end - start + size <= room:
        place, taken = int(starts[start]), size
        parts += [data[written:place], data[begin:stop], b"\n"]
        written = place
  return b"".join([*parts, data[written:]])


def unparted(data: bytes, starts: np.ndarray, sentences: list[int], room: int) -> list[int]:
  """Those of the `sentences` that may begin a block: no row goes from under its header."""
  kept = {*sentences}
  for header, *rows in tables(data):
    name, above = data[slice(*header.place)], header
    for row in rows:
      if data[slice(*above.place)] == name:
        first, second, stop = np.searchsorted(
            starts, [above.place[0], row.place[0], row.place[1]]).tolist()
        if stop - first <= room:
          kept.discard(second)
      above = row
  return sorted(kept)
