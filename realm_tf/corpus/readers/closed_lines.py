"""Rows of a table, and items of a list, end as sentences do.

A model sees no line feeds: of two rows it would read "101 Tomas Brellin" where one ends with
101 and the next begins with a name. What a full stop between them is worth to readers that
were trained on prose: docs/data.md, "Tables and lists".
"""

_ENDS = frozenset(".!?…:;,。！？；：،؛؟।")


def closed(row: str) -> str:
  """A row of several cells, or an item, with a full stop unless it ends with such a sign."""
  bare = row.rstrip()
  return bare if not bare or bare[-1] in _ENDS else f"{bare}."
