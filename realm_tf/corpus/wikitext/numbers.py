"""Templates that show numbers: as they are written, with the units that they are of."""

import re
from decimal import ROUND_HALF_UP, Decimal

from realm_tf.corpus.small_figures import subscript, superscript
from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.powers import PLUS, of_wikitext
from realm_tf.corpus.wikitext.units import of_one, unit_name

_NUMBER = re.compile(r"[-+−]?[\d,. ]*\d(\.\d*)?([eE][-+−]?\d+)?(\+\d+)?((//?|⁄)\d+)?")
_DIGITS = re.compile(r"([-+−]?)(\d+)(\.\d+)?")
_BETWEEN = {"-": "–", "–": "–", "(-)": "–", "(–)": "–", "to": " to ", "and": " and ",
            "or": " or ", "x": " × ", "×": " × ", "by": " by ", "*": " × ", "+/-": " ± ",
            "±": " ± ", "+": " + ", "to about": " to about ", "xx": " × ",
            "&ndash;": "–", ",": ", ", ", and": ", and ", ", or": ", or ", "&": " & ",
            "/": "/", "till": " till ", "vs": " vs ", "versus": " versus ", "~": " ~ "}
_RANGE = re.compile(r"([-+−]?[\d,.]*\d)\s*(–|-|to|and|or|x|×|by|±)\s*([\d,.]*\d)")
# Units that go on with smaller ones: {{convert|5|ft|10|in|m}}.
_SMALLER = {"ft": ("in",), "yd": ("ft", "in"), "mi": ("yd", "ft", "ch", "furlong"),
            "lb": ("oz",), "st": ("lb",), "LT": ("cwt", "qtr")}
def grouped(number: str) -> str:
  """1234567.5 -> 1,234,567.5; all else as it is."""
  match = _DIGITS.fullmatch(number)
  return (f"{match.group(1)}{int(match.group(2)):,}{match.group(3) or ''}"
          if match and not re.match("0.", match.group(2)) else number)


def _shown(number: str) -> str:
  """A number of {{convert}}: 1+1/2 is one and a half."""
  number = _plain_power(number)
  whole = re.fullmatch(r"(-?\d+)\+(\d+)(?://?|⁄)(\d+)", number)
  return (f"{whole[1]} {whole[2]}/{whole[3]}" if whole else
          grouped(number.removeprefix("+")).replace("//", "/"))


def _values(call: Call) -> list[str]:
  """The arguments by place; 3–5 in one of them is 3, – and 5."""
  values = [argument.replace(PLUS, "+").strip() for argument in call.positional]
  if values and (parts := _RANGE.fullmatch(values[0])):
    return [parts[1], parts[2], parts[3], *values[1:]]
  return values


def convert(call: Call) -> str:
  """{{convert|10|-|15|km|mi}} -> 10–15 km: what is converted, not what to.

  The figures are those of the article; what MediaWiki computes of them is left out.
  """
  values = _values(call)
  text, place = "", 0
  if not values or not values[0]:
    raise Unrendered
  if not _NUMBER.fullmatch(values[0]):  # in words, or a mistake
    return f"{values[0]} {unit_name(call.at(1))}".rstrip()
  while place < len(values) and _NUMBER.fullmatch(values[place]):
    text += _shown(values[place])
    place += 1
    between = _BETWEEN.get(re.sub(r"(?<=.)\([-–]\)$", "", values[place])) if (
        values[place + 1:] and _NUMBER.fullmatch(values[place + 1])) else None
    if between:
      text += between
      place += 1
    else:
      break
  if call.get("comma") == "off":
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
  is_one = text in ("1", "-1") or call.get("adj") in ("on", "mid", "pre")
  unit = _named(values[place] if place < len(values) else "", is_one)
  if unit[:2] in ("$/", "£/", "€/"):  # $5/mi
    return f"{unit[0]}{text}{unit[1:]}"
  text = f"{text} {unit}".rstrip()
  while (place + 2 < len(values) and values[place + 2] in _SMALLER.get(values[place], ())
         and _NUMBER.fullmatch(values[place + 1])):
    text += f" {_shown(values[place + 1])} {unit_name(values[place + 2])}"
    place += 2
  return _with_word(text, unit, call, values[place + 1:])


def _named(code: str, is_one: bool) -> str:
  return of_one(unit_name(code)) if is_one else unit_name(code)


def _with_word(text: str, unit: str, call: Call, behind: list[str]) -> str:
  """The word that `adj=mid` puts behind the unit, and `adj=pre` before it."""
  word = behind[-1] if behind and call.get("adj") in ("mid", "pre") else ""
  if not word:
    return text
  if call.get("adj") == "pre":
    return f"{text.removesuffix(unit).rstrip()} {word} {unit}"
  return f"{text}{'' if word.startswith('-') else ' '}{word}"


def _measured(*units: str):
  """{{height|ft=6|in=2}} -> 6 ft 2 in; {{weight|kg=85}} -> 85 kg"""
  def shown(call: Call) -> str:
    parts = [f"{_shown(call.get(name))} {name}" for name in units if call.get(name)]
    if not parts:
      raise Unrendered
    return " ".join(parts)
  return shown


def val(call: Call) -> str:
  """{{val|1.5|0.1|e=6|u=kg}} -> 1.5±0.1×10⁶ kg"""
  value = _plain_power(call.at(0))
  value = grouped(value) if call.get("fmt") == "commas" else value
  errors = call.positional[1:]
  while errors and errors[0] in _BETWEEN:  # 10, 20, 30
    if not errors[1:]:
      raise Unrendered
    value, errors = value + _BETWEEN[errors[0]] + _plain_power(errors[1]), errors[2:]
  errors = errors[:2]
  if len(errors) == 2 and all(errors):
    value += "".join(error if error[0] in "+-−" else f"{sign}{error}"
                     for sign, error in zip("+−", errors))
  elif errors and errors[0]:
    value += errors[0] if errors[0][0] in "(+-−±" else f"±{errors[0]}"
  power = f"×10{superscript(call.get('e'))}" if call.get("e") else ""
  value = value + power if value else power.removeprefix("×")
  if not value:
    raise Unrendered
  unit = unit_name(call.get("u", "ul"))
  per = unit_name(call.get("up", "upl"))
  unit = unit + (f"/{per}" if per else "")
  gap = "" if unit in ("%", "°", "′", "″", "") else " "
  return (f"{call.get('p')}{value}{gap}{unit}{call.get('s', 'suf', 'end')}")


def _plain_power(number: str) -> str:
  """1.5e-10 -> 1.5×10⁻¹⁰"""
  parts = re.fullmatch(r"([-+−]?[\d.,]+)[eE]([-+−]?\d+)", number)
  return f"{parts[1]}×10{superscript(parts[2].removeprefix('+'))}" if parts else number


def sorted_number(call: Call) -> str:
  """{{nts|1000|prefix=~}} -> ~1,000"""
  return f"{call.get('prefix')}{format_number(call)}{call.get('suffix')}"


def format_number(call: Call) -> str:
  """{{formatnum:1234.5}} -> 1,234.5; with |R the other way."""
  number = call.need(0).strip()
  return number.replace(",", "") if call.at(1).strip() in ("R", "NOSEP") else grouped(number)


def _of_unit(call: Call) -> str:
  """{{nombre|5000|km}} -> 5,000 km"""
  return " ".join([grouped(call.need(0)), *call.given[1:]])


def fraction(call: Call) -> str:
  """{{frac|1|3|4}} -> 1 3/4"""
  parts = call.given[0].split("/") if len(call.given) == 1 else call.given
  return (f"{PLUS}1/{parts[0]}" if len(parts) == 1 else
          f"{PLUS}{parts[0]}/{parts[1]}" if len(parts) == 2 else
          f"{parts[0]} {parts[1]}/{parts[2]}" if parts else "/")


def power_of_ten(call: Call) -> str:
  """3{{e|8}} -> 3×10⁸"""
  return f"×10{superscript(call.need(0))}"


def percentage(call: Call) -> str:
  """{{percentage|1|3|1}} -> 33.3%"""
  try:
    part, whole = (_decimal(call.need(place)) for place in (0, 1))
    return f"{_to_places(100 * part / whole, call.at(2, '0'))}%"
  except ArithmeticError:
    raise Unrendered from None


def rounded(call: Call) -> str:
  """{{rnd|3.14159|2}} -> 3.14"""
  return _to_places(_decimal(call.need(0)), call.at(1, "0"))


def _decimal(number: str) -> Decimal:
  """A number as it is written out: no 1e999999, which is a million digits."""
  number = number.replace(",", "")
  if not _DIGITS.fullmatch(number):
    raise Unrendered
  return Decimal(number.replace("−", "-"))


def _to_places(number: Decimal, places: str) -> str:
  """Rounded as MediaWiki does: a half goes up."""
  try:
    shown = number.quantize(Decimal(1).scaleb(-_digits(places)), ROUND_HALF_UP)
  except ArithmeticError:  # of more digits than that
    raise Unrendered from None
  return f"{shown:,f}"


def _digits(count: str) -> int:
  if not re.fullmatch("[0-9]", count):
    raise Unrendered
  return int(count)


def duration(call: Call) -> str:
  """{{duration|h=1|m=2|s=5}}, {{duration|1|2|5}} -> 1:02:05"""
  if ":" in call.at(0):
    return call.at(0)
  parts = [call.get("h") or call.at(0), call.get("m") or call.at(1),
           call.get("s") or call.at(2)]
  if not any(parts):
    raise Unrendered
  first = next((place for place, part in enumerate(parts[:2]) if part), 1)
  return ":".join([parts[first] or "0", *(part.zfill(2) for part in parts[first + 1:])])


def ordinal(call: Call) -> str:
  number = call.need(0)
  if not number[-1:].isdigit():
    return number
  last = number[-2:] if number[-2:] in ("11", "12", "13") else number[-1:]
  return number + {"1": "st", "2": "nd", "3": "rd"}.get(last, "th")


def gaps(call: Call) -> str:
  """{{gaps|1|234.5}} -> 1234.5"""
  return "".join(call.given) + (
      f"×10{superscript(call.get('e'))}" if call.get("e") else "") + (
      f" {unit_name(call.get('u'))}" if call.get("u") else "")


def sky(*marks: str):
  """{{RA|5|55|10.3}} -> 5h 55m 10.3s"""
  def shown(call: Call) -> str:
    return " ".join(number + mark for number, mark in zip(call.given, marks))
  return shown


def of_unit(unit: str):
  """{{Ma|66}} -> 66 Ma"""
  def shown(call: Call) -> str:
    return "–".join(call.given) + f" {unit}" if call.given else unit
  return shown


NUMBER_TEMPLATES = {
    **dict.fromkeys(("convert", "cvt", "conv", "convert/spell", "cvt/spell"), convert),
    "height": _measured("m", "cm", "ft", "in"),
    "weight": _measured("kg", "st", "lb"), "val": val,
    "formatnum": format_number, "#formatnum": format_number, "nts": sorted_number,
    "num": format_number, "number": format_number, "formatprice": format_number,
    "nombre": _of_unit, "frac": fraction, "fraction": fraction, "sfrac": fraction,
    "frac2": fraction, "tfrac": fraction, "mfrac": fraction,
    **dict.fromkeys(("e", "10^", "x10^", "×10^", "esp"), power_of_ten),
    "percentage": percentage, "percent": percentage, "pct": percentage,
    "ordinal": ordinal, "ord": ordinal, "nth": ordinal, "ordinal to word": ordinal,
    "nth word": ordinal, "ordinal text": ordinal, "numberth": ordinal,
    "century": lambda call: f"{ordinal(call)} century", "number table sorting": sorted_number,
    "format price": format_number,
    **dict.fromkeys(("decade", "decade link"), lambda call: f"{call.need(0).rstrip('s')}s"),
    "track gauge": lambda call: call.need(0), "railgauge": lambda call: call.need(0),
    "ra": sky("h", "m", "s"), "dec": sky("°", "′", "″"), "solar mass": of_unit("M☉"),
    "solar radius": of_unit("R☉"), "solar luminosity": of_unit("L☉"), "ma": of_unit("Ma"),
    **{name: of_unit(unit) for name, unit in (
        ("million years", "Myr"), ("gyr", "Gyr"), ("kyr", "kyr"))},
    "ka": of_unit("ka"), "ga": of_unit("Ga"), "ybp": of_unit("years before present"),
    **dict.fromkeys(("kya", "tya"), of_unit("thousand years ago")),
    "gya": of_unit("billion years ago"), "ya": of_unit("years ago"),
    **dict.fromkeys(("bp", "years before present"), of_unit("BP")),
    "mya": of_unit("million years ago"), "bya": of_unit("billion years ago"),
    "rnd": rounded, "round": rounded, "duration": duration,
    "deg": lambda call: f"{call.at(0)}°", "degree": lambda call: f"{call.at(0)}°",
    "°": lambda call: f"{call.at(0)}°",
    # As words on the page, which say no more than the figures do.
    **dict.fromkeys(("spellnum", "spell", "spell number", "numspell", "number to words",
                     "number to word", "numtext", "number in words"),
                    lambda call: call.need(0)),
    **dict.fromkeys(("sup", "superscript", "smallsup"), lambda call: of_wikitext(call.at(0))),
    "gaps": gaps, "t&fcalc": lambda call: f"{call.need(0)} m",
    "su": lambda call: superscript(call.get("p")) + subscript(call.get("b")),
    **dict.fromkeys(("sub", "subscript"), lambda call: subscript(call.at(0)))}
