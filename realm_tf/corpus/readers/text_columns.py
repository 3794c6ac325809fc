"""Columns of plain text, which tabs or spaces part, as rows of a table.

    Billing          Marta Quill    2.14    Billing | Marta Quill | 2.14.
    New connections  Ines Calloway  1.08    New connections | Ines Calloway | 1.08.

So are three lines or more that follow each other, have as many cells, and have them below
each other. Two spaces do it too, but not behind the end of a sentence, where typists put two.
"""

import collections
import itertools
import re
from collections.abc import Sequence

from realm_tf.corpus.readers.closed_lines import closed

# Not behind the key of a field, which stands beside its value.
_PARTED = re.compile(
    r"(?:(?<![\s.!?:;,]) {2,}|(?<![\s:]) {3,}|(?<![\s:])\s*\t\s*)(?=\S)")
_LEAST = 3  # lines


def with_rows(text: str) -> str:
  """The text, its columns as rows."""
  if "\t" not in text and "  " not in text:
    return text
  lines = text.split("\n")
  cells = [_PARTED.split(line.strip()) for line in lines]
  rows: list[str] = []
  for count, group in itertools.groupby(range(len(lines)), lambda i: len(cells[i])):
    numbers = list(group)
    is_table = count > 1 and len(numbers) >= _LEAST and _are_rows(
        [lines[i] for i in numbers], [cells[i] for i in numbers])
    rows += [closed(" | ".join(cells[i])) if is_table else lines[i] for i in numbers]
  return "\n".join(rows)


def _are_rows(lines: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
  """Whether no marks of comments stand first, and cells begin or end below each other."""
  if any("|" in line for line in lines) or not all(
      any(map(str.isalnum, row[0])) for row in cells):
    return False
  return any("\t" in line for line in lines) or all(
      _is_aligned(lines, [row[:j + 1] for row in cells]) for j in range(1, len(cells[0])))


def _is_aligned(lines: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
  """Whether the last of these cells begins, or ends, in one place in most lines."""
  starts, ends = collections.Counter[int](), collections.Counter[int]()
  for line, row in zip(lines, cells):
    place = 0
    for cell in row:
      start = line.index(cell, place)
      place = start + len(cell)
    starts[start] += 1
    ends[place] += 1
  return 2 * max(*starts.values(), *ends.values()) > len(lines)
