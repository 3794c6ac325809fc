"""Columns of plain text, which tabs or spaces part, as rows of a table.

    Billing          Marta Quill    2.14    Billing | Marta Quill | 2.14.
    New connections  Ines Calloway  1.08    New connections | Ines Calloway | 1.08.

So are three lines or more that follow each other and have as many cells. Two spaces do it
too, but not behind the end of a sentence, where typists put two.
"""

import itertools
import re

from realm_tf.corpus.readers.closed_lines import closed

_PARTED = re.compile(r"(?:(?<![.!?:;,]) {2,}| {3,}|\s*\t\s*)(?=\S)")
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
    is_table = count > 1 and len(numbers) >= _LEAST and "|" not in lines[numbers[0]]
    rows += [closed(" | ".join(cells[i])) if is_table else lines[i] for i in numbers]
  return "\n".join(rows)
