"""Rows of a table, items of a list and fields ("Extension: 102") end as sentences do.

A model sees no line feeds: of two rows it would read "101 Tomas Brellin" where one ends with
101 and the next begins with a name. What a full stop between them is worth to readers that
were trained on prose: docs/data.md, "Tables and lists".
"""

import re

from realm_tf.text.field_lines import BEGINS

_BEGINS = re.compile(BEGINS)
_ENDS = frozenset(".!?…:;,。！？；：،؛؟।")


def closed(row: str) -> str:
  """A row of several cells, or an item, with a full stop unless it ends with such a sign."""
  bare = row.rstrip()
  return bare if not bare or bare[-1] in _ENDS else f"{bare}."


def with_closed_items(text: str) -> str:
  """A text whose items and fields, with the lines that they go on in, are closed."""
  lines, is_inside = text.split("\n"), False
  for i, line in enumerate(lines):
    following = lines[i + 1] if i + 1 < len(lines) else ""
    is_inside = bool(line.strip()) and (is_inside or bool(_BEGINS.match(line)))
    if is_inside and (not following.strip() or _BEGINS.match(following)):
      lines[i] = closed(line)
  return "\n".join(lines)
