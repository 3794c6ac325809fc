"""Rows of a table end as sentences do.

A model sees no line feeds: of two rows it would read "101 Tomas Brellin" where one ends with
101 and the next begins with a name. With a full stop between them readers that were trained
on prose answer 8 to 11 of 100 questions about small tables more (docs/data.md, "Tables").
"""

_ENDS = frozenset(".!?…:;,。！？；：،؛؟।")


def closed(row: str) -> str:
  """A row of several cells, with a full stop unless it ends with a sign of that kind."""
  bare = row.rstrip()
  return bare if not bare or bare[-1] in _ENDS else f"{bare}."
