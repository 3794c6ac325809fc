"""Values of cells as a spreadsheet shows them: 0.19 in "0 %" is 19 %.

Of a number format (ECMA-376, part 1, 18.8.31) the decimals, separators of thousands, per
cent, and what stands before and behind the figure; dates are as ISO 8601 has them, whatever
their format.
"""

import datetime
import re
from typing import Any

_QUOTED = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.')
_FIGURE = re.compile(r"[#0?](?:[#0?,]*[#0?])?(?:\.([0#?]+))?")


def shown(value: Any, number_format: str) -> str:
  """A value as text; "" for none, and for an error.

  Args:
    value: None, str, bool, int, float, or a date or time.
    number_format: of its cell, such as '#,##0.00 "€"'.
  """
  if value is None or isinstance(value, str):
    return "" if value is None or re.fullmatch(r"#[A-Z0-9/]+[!?]?", value) else value
  if isinstance(value, bool):
    return str(value).upper()
  if isinstance(value, datetime.datetime):
    is_day = value.time() == datetime.time()
    return value.date().isoformat() if is_day else value.isoformat(" ", "minutes")
  if isinstance(value, datetime.time):
    return value.isoformat("minutes")
  if isinstance(value, datetime.timedelta):
    minutes = round(value.total_seconds() / 60)
    return f"{minutes // 60}:{minutes % 60:02}"
  return _number(value, number_format) if isinstance(value, int | float) else str(value)


def _number(value: float, number_format: str) -> str:
  section = number_format.partition(";")[0]
  plain = _QUOTED.sub(" ", section)
  figure = _FIGURE.search(plain)
  if not figure or re.search(r"[eE][+-]|/|[a-df-zA-DF-Z]", plain):
    return f"{value:.15g}"
  literal = _QUOTED.sub(lambda match: match[1] or match[2] or match[3] or "", section)
  place = _FIGURE.search(literal)
  before, behind = ((literal[:place.start()], literal[place.end():]) if place else ("", ""))
  decimals = len(figure[1] or "")
  thousands = "," if "," in figure[0] else ""
  text = f"{value * 100 if '%' in plain else value:{thousands}.{decimals}f}"
  return f"{before}{text}{behind}".strip()
