"""Empty cells of tables: a dash stands for one, so that those behind it keep their columns.

Tables lay pages out, too, and their empty cells are but space. So it is one below a first row
of as many cells, none of them empty, in a row that says something.
"""

from collections.abc import Collection

from lxml import etree

GAP = "–"
_SHOWS = frozenset(("img", "svg", "input", "object", "drawing", "pict"))


def is_gap(cell: etree._Element, row_tag: str, cell_tags: Collection[str]) -> bool:
  """Whether a cell is one; tags as the format has them."""
  row = cell.getparent()
  if row is None or row.tag != row_tag or _says(cell):
    return False
  table = row.getparent()
  while table is not None and table.tag in ("thead", "tbody", "tfoot"):
    table = table.getparent()
  if any(part is not row and part.tag == row_tag for part in row.iter()):
    return False  # tables in cells
  first = None if table is None else next(table.iter(row_tag))
  if first is None or first is row:
    return False
  names, own = ([part for part in line if part.tag in cell_tags] for line in (first, row))
  return len(own) == len(names) > 1 and all(map(_says, names)) and any(map(_says, own))


def _says(cell: etree._Element) -> bool:
  return bool("".join(cell.itertext()).strip()) or any(
      isinstance(part.tag, str) and etree.QName(part).localname in _SHOWS
      for part in cell.iter())
