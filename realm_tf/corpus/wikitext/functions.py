"""Parser functions that can be computed from what stands in them: {{#expr: 2 * 3}}."""

import datetime
import operator
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Callable

from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.dates import MONTHS, as_parts, read_date

_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|<=|>=|!=|<>|[-+*/^()<>=]|[a-z]+)")
_MOST_CHARACTERS = 300
_LARGEST = Decimal(10) ** 30
_SIGNS = str.maketrans({"−": "-", "×": "*", "÷": "/", ",": None})
# From the loosest to the tightest.
_LEVELS: tuple[dict[str, Callable], ...] = (
    {"or": lambda a, b: Decimal(bool(a or b))}, {"and": lambda a, b: Decimal(bool(a and b))},
    {sign: lambda a, b, compare=compare: Decimal(compare(a, b)) for sign, compare in (
        ("=", operator.eq), ("!=", operator.ne), ("<>", operator.ne), ("<", operator.lt),
        (">", operator.gt), ("<=", operator.le), (">=", operator.ge))},
    {"round": lambda a, b: _rounded(a, int(b))}, {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv, "div": operator.truediv,
     "mod": lambda a, b: Decimal(int(a)) % Decimal(int(b))},
    {"^": lambda a, b: _power(a, b)})
_ALONE = {"floor": lambda a: a.to_integral_value("ROUND_FLOOR"), "abs": abs,
          "ceil": lambda a: a.to_integral_value("ROUND_CEILING"),
          "trunc": lambda a: Decimal(int(a)), "not": lambda a: Decimal(not a),
          "+": lambda a: a, "-": operator.neg}


def _rounded(number: Decimal, places: int) -> Decimal:
  if abs(places) > 12:
    raise Unrendered
  return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _power(base: Decimal, exponent: Decimal) -> Decimal:
  if abs(exponent) > 30 or abs(base) > 10 ** 6:
    raise Unrendered
  return base ** exponent


class _Expression:
  """Reads what {{#expr}} computes, by the rules of MediaWiki's ExprParser."""

  def __init__(self, text: str):
    text = text.translate(_SIGNS).casefold().strip()
    if not text or len(text) > _MOST_CHARACTERS or _TOKEN.sub("", text).strip():
      raise Unrendered
    self._tokens = _TOKEN.findall(text)

  def value(self) -> Decimal:
    try:
      value = self._level(0)
    except (ArithmeticError, ValueError, IndexError):
      raise Unrendered from None
    if self._tokens or abs(value) > _LARGEST:
      raise Unrendered
    return value

  def _level(self, level: int) -> Decimal:
    if level == len(_LEVELS):
      return self._single()
    value = self._level(level + 1)
    while self._tokens and self._tokens[0] in _LEVELS[level]:
      value = _LEVELS[level][self._tokens.pop(0)](value, self._level(level + 1))
    return value

  def _single(self) -> Decimal:
    token = self._tokens.pop(0)
    if token == "(":
      value = self._level(0)
      if self._tokens.pop(0) != ")":
        raise ValueError
      return value
    if token in _ALONE:
      return _ALONE[token](self._single())
    return Decimal(token)


def _expression(call: Call) -> str:
  shown = f"{Decimal(f'{_Expression(call.need(0)).value():.14g}'):f}"
  return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _if_expression(call: Call) -> str:
  return call.at(1) if call.at(0) and _Expression(call.at(0)).value() else call.at(2)


def _if(call: Call) -> str:
  """{{#if: condition | then | else}}"""
  return call.at(1) if call.at(0).strip() else call.at(2)


def _if_equal(call: Call) -> str:
  return call.at(2) if _same(call.at(0), call.at(1)) else call.at(3)


def _same(first: str, second: str) -> bool:
  """As texts, or as numbers: 01 is 1."""
  try:
    return first.strip() == second.strip() or float(first) == float(second)
  except ValueError:
    return False


def _if_error(call: Call) -> str:
  return call.at(0) if len(call.positional) < 3 else call.at(2)


def _switch(call: Call) -> str:
  """{{#switch: a | a | b = X | c = Y}} is X: a case without a value has the next one's."""
  value, falls = call.at(0), False
  for name, shown in call.ordered[1:]:
    if name is None:
      falls = falls or _same(shown, value)
    elif falls or _same(name, value):
      return shown
  last = call.ordered[-1]
  return call.get("#default") or (last[1] if last[0] is None else "")


def _time(call: Call) -> str:
  """{{#time: j F Y | 2010-05-12}} -> 12 May 2010"""
  parts = read_date(call.at(1))
  try:
    day = datetime.date(*as_parts(parts or ()))
  except ValueError:
    raise Unrendered from None
  name, weekday = MONTHS[day.month - 1], day.strftime("%A")
  marks = {"Y": f"{day.year}", "y": f"{day.year % 100:02}", "F": name, "M": name[:3],
           "n": f"{day.month}", "m": f"{day.month:02}", "j": f"{day.day}",
           "d": f"{day.day:02}", "l": weekday, "D": weekday[:3]}
  return "".join(marks.get(char, char) for char in call.need(0))


def _formatted_date(call: Call) -> str:
  """{{#dateformat:2010-05-12|mdy}} -> May 12, 2010"""
  year, month, day = read_date(call.at(0)) or ("", "", "")
  if not day:
    return call.need(0)
  name = MONTHS[as_parts((year, month, day))[1] - 1]
  return f"{name} {int(day)}, {year}" if call.at(1) == "mdy" else f"{int(day)} {name} {year}"


def _padded(left: bool) -> Callable[[Call], str]:
  """{{padleft:7|3|0}} -> 007"""
  def shown(call: Call) -> str:
    width = int(call.at(1)) if re.fullmatch(r"\d{1,2}", call.at(1)) else 0
    fill = call.at(2, "0")[:1]
    return call.at(0).rjust(width, fill) if left else call.at(0).ljust(width, fill)
  return shown


def _plural(call: Call) -> str:
  return call.at(1) if call.at(0).strip() == "1" else call.at(2)


FUNCTIONS: dict[str, Callable[[Call], str]] = {
    "#expr": _expression, "#ifexpr": _if_expression, "#if": _if, "#ifeq": _if_equal,
    "#iferror": _if_error, "#ifexist": lambda call: call.at(1), "#switch": _switch,
    "#time": _time, "#formatdate": _formatted_date, "#dateformat": _formatted_date,
    "padleft": _padded(left=True), "padright": _padded(left=False), "plural": _plural,
    "lc": lambda call: call.at(0).lower(), "uc": lambda call: call.at(0).upper(),
    "lcfirst": lambda call: call.at(0)[:1].lower() + call.at(0)[1:],
    "ucfirst": lambda call: call.at(0)[:1].upper() + call.at(0)[1:],
    "pagename": lambda call: call.page, "fullpagename": lambda call: call.page,
    "subpagename": lambda call: call.page, "basepagename": lambda call: call.page,
    "pagenamebase": lambda call: re.sub(r" \([^()]*\)$", "", call.page)}
