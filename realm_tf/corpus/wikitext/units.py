"""Units of {{convert}} and {{val}}, by their codes, as people write them."""

import re

from realm_tf.corpus.small_figures import superscript

_UNITS = {
    "C": "°C", "F": "°F", "R": "°R", "degC": "°C", "degF": "°F", "deg": "°", "degree": "°",
    "arcmin": "′", "arcsec": "″", "sqmi": "sq mi", "sqft": "sq ft", "sqin": "sq in",
    "sqyd": "sq yd", "sqkm": "km²", "sqm": "m²", "cuft": "cu ft", "cuin": "cu in",
    "cuyd": "cu yd", "cumi": "cu mi", "acre": "acres", "acres": "acres", "foot": "feet",
    "inch": "inches", "mile": "miles", "metre": "metres", "meter": "meters",
    "kilometre": "kilometres", "kilometer": "kilometers", "yard": "yards",
    "pound": "pounds", "ounce": "ounces", "USgal": "US gal", "usgal": "US gal",
    "U.S.gal": "US gal", "impgal": "imp gal", "USoz": "US fl oz", "USfloz": "US fl oz",
    "U.S.floz": "US fl oz", "impoz": "imp fl oz", "impfloz": "imp fl oz", "floz": "fl oz",
    "USbbl": "US bbl", "impbbl": "imp bbl", "oilbbl": "bbl", "USbsh": "US bsh",
    "impbsh": "imp bsh", "USpt": "US pt", "imppt": "imp pt", "USqt": "US qt",
    "impqt": "imp qt", "nmi": "nautical miles", "kn": "knots", "kph": "km/h",
    "fathom": "fathoms", "furlong": "furlongs", "hand": "hands", "hands": "hands",
    "PD/sqmi": "per sq mi", "PD/km2": "per km²", "PD/ha": "per hectare",
    "PD/acre": "per acre", "/sqmi": "per sq mi", "/km2": "per km²", "/ha": "per hectare",
    "/acre": "per acre", "LT": "long tons", "ST": "short tons", "long ton": "long tons",
    "short ton": "short tons", "longton": "long tons", "shortton": "short tons",
    "LTf": "long tons-force", "t": "tonnes", "MT": "tonnes", "tonne": "tonnes",
    "ozt": "troy oz", "mpgus": "mpg", "mpgUS": "mpg", "mpgU.S.": "mpg", "mpgimp": "mpg",
    "lbft": "lb⋅ft", "lb.ft": "lb⋅ft", "ftlb": "ft⋅lb", "ft.lb": "ft⋅lb", "Nm": "N⋅m",
    "N.m": "N⋅m", "ft.lbf": "ft⋅lbf", "lb.f": "lbf", "GW.h": "GWh", "MW.h": "MWh",
    "kW.h": "kWh", "TW.h": "TWh", "W.h": "Wh", "A.h": "Ah", "mA.h": "mAh",
    "ftin": "ft", "stlb": "st", "e3": "thousand", "u": "Da", "au": "AU",
    **{f"u{unit}": f"μ{unit}" for unit in "m g s M mol L l F H V W A T Pa Sv Gy J N".split()},
    "angstrom": "Å", "mpg-imp": "mpg", "mpg-US": "mpg",
    "mi/h": "mph", "Moilbbl": "million bbl", "koilbbl": "thousand bbl", "g0": "g",
    "hp-metric": "metric hp", "acft": "acre-feet", "acre.ft": "acre-feet",
    "acre-ft": "acre-feet", "acreft": "acre-feet", "acre.foot": "acre-feet",
    "chain": "chains", "rod": "rods", "carat": "carats", "grain": "grains",
    "hectare": "hectares", "shtn": "short tons", "dunam": "dunams",
    "ly": "light-years", "pied": "pieds", "smi": "miles", "percent": "%"}
_SCALES = {"e3": "thousand ", "e6": "million ", "e9": "billion ", "e12": "trillion ",
           "e15": "quadrillion "}
_ONE_OF = {plural: one for one, plural in {
    "acre": "acres", "foot": "feet", "inch": "inches", "mile": "miles", "metre": "metres",
    "meter": "meters", "kilometre": "kilometres", "kilometer": "kilometers",
    "yard": "yards", "pound": "pounds", "ounce": "ounces", "fathom": "fathoms",
    "nautical mile": "nautical miles", "knot": "knots", "furlong": "furlongs",
    "hand": "hands", "chain": "chains", "rod": "rods", "carat": "carats", "grain": "grains",
    "hectare": "hectares", "dunam": "dunams", "light-year": "light-years",
    "long ton": "long tons", "short ton": "short tons",
    "tonne": "tonnes", "long ton-force": "long tons-force"}.items()}


def unit_name(code: str) -> str:
  """A unit as people write it, of several: km2 is km², LT is long tons."""
  for scale, words in _SCALES.items():
    if code.startswith(scale) and len(code) > len(scale):
      return words + unit_name(code[len(scale):])
  code = code.removesuffix("-change")  # of a temperature
  if code in _UNITS:
    return _UNITS[code]
  if code.partition("/")[2] and code.partition("/")[0]:  # lb/cuft, but not acres/t
    top, _, below = code.partition("/")
    short = [_UNITS.get(part, "") for part in (top, below)]
    top, below = (name if name and name not in _ONE_OF else part
                  for name, part in zip(short, (top, below)))
    code = f"{top}/{below}"
  code = re.sub(r"(?<=[a-zA-Z\dµμΩ])[.*·](?=[a-zA-ZµμΩ])", "⋅", code)  # kg.m2/s
  return re.sub(r"(?<=[a-zA-Zµμ])(-[1-9]|[23])(?![\d.])\b",
                lambda match: superscript(match.group()), code)


def of_one(unit: str) -> str:
  """The name of a unit where there is one of it, or it stands before a noun."""
  for scale in _SCALES.values():
    if unit.startswith(scale):
      return unit
  return _ONE_OF.get(unit, unit)
