"""Templates that show amounts of money."""

import re

from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.numbers import grouped

_SCALES = {"k": "thousand", "l": "lakh", "m": "million", "mn": "million", "mil": "million",
           "c": "crore", "cr": "crore", "b": "billion", "bn": "billion", "t": "trillion",
           "tn": "trillion", "lc": "lakh crore"}
_SCALE_WORDS = re.compile("(?i)(hundred|thousand|lakh|million|crore|billion|trillion)"
                          "( (thousand|lakh|million|crore|billion))?")
_SIGNS = {
    "USD": "US$", "GBP": "£", "EUR": "€", "JPY": "¥", "CNY": "CN¥", "AUD": "A$",
    "CAD": "CA$", "NZD": "NZ$", "INR": "₹", "RUB": "₽", "KRW": "₩", "PHP": "₱",
    "HKD": "HK$", "BRL": "R$", "MXN": "MX$", "SGD": "S$", "TWD": "NT$", "ILS": "₪",
    "THB": "฿", "VND": "₫", "UAH": "₴", "NGN": "₦", "BDT": "৳", "KZT": "₸", "GHS": "GH₵",
    "IDR": "Rp", "MYR": "RM", "PKR": "Rs", "LKR": "Rs", "NPR": "Rs", "ZAR": "R",
    "CHF": "CHF ", "SEK": "SEK ", "NOK": "NOK ", "DKK": "DKK ", "PLN": "PLN ",
    "CZK": "CZK ", "HUF": "HUF ", "AED": "AED ", "SAR": "SAR ", "EGP": "EGP ", "ARS": "ARS ",
    "CLP": "CLP ",
    "COP": "COP ", "ISK": "ISK ", "KES": "KES ", "RON": "RON ", "IRR": "IRR ",
    "TTD": "TT$", "JMD": "J$", "DEM": "DM ", "FRF": "FRF ", "ITL": "ITL ", "UGX": "UGX ",
    "TZS": "TZS ", "QAR": "QAR ", "KWD": "KWD ", "BGN": "BGN ", "RSD": "RSD ",
    "LBP": "LBP ", "IQD": "IQD ", "ETB": "ETB ", "UZS": "UZS ", "BYN": "BYN "}
# What else templates are called.
_CODES = {
    "us$": "USD", "us dollar": "USD", "£": "GBP", "pound sterling": "GBP", "gbp£": "GBP",
    "€": "EUR", "euro": "EUR", "¥": "JPY", "yen": "JPY", "jpy¥": "JPY", "cn¥": "CNY",
    "renminbi": "CNY", "rmb": "CNY", "yuan": "CNY", "a$": "AUD", "au$": "AUD", "ca$": "CAD",
    "c$": "CAD", "nz$": "NZD", "indian rupee": "INR", "₹": "INR",
    "rupee": "INR", "₽": "RUB", "₩": "KRW", "won (currency)": "KRW", "₱": "PHP",
    "philippine peso": "PHP", "hk$": "HKD", "hong kong dollar": "HKD", "r$": "BRL",
    "mx$": "MXN", "s$": "SGD", "nt$": "TWD", "ntd": "TWD", "₪": "ILS", "nis": "ILS",
    "฿": "THB", "₦": "NGN", "naira": "NGN", "pkr rs": "PKR", "৳": "BDT", "rs": "INR",
    "rs.": "INR", "sfr": "CHF", "can$": "CAD", "₫": "VND", "₴": "UAH", "euros": "EUR",
    "pakistani rupee": "PKR", "south african rand": "ZAR", "dm": "DEM",
    "deutsche mark": "DEM"}
_COUNTRIES = {
    "IND": "INR", "USA": "USD", "GBR": "GBP", "CHN": "CNY", "JPN": "JPY", "AUS": "AUD",
    "CAN": "CAD", "KOR": "KRW", "RUS": "RUB", "BRA": "BRL", "MEX": "MXN", "CHE": "CHF",
    "SWE": "SEK", "NOR": "NOK", "DNK": "DKK", "POL": "PLN", "ZAF": "ZAR", "PHL": "PHP",
    "HKG": "HKD", "SGP": "SGD", "NZL": "NZD", "IDN": "IDR", "MYS": "MYR", "THA": "THB",
    "TWN": "TWD", "VNM": "VND", "PAK": "PKR", "ISR": "ILS", "UKR": "UAH", "NGA": "NGN"}
# What indices of prices are in.
_OF_INDEX = {"US": "$", "UK": "£", "AU": "A$", "CA": "C$", "IN": "₹", "JP": "¥", "DE": "€",
             "FR": "€", "NZ": "NZ$"}
# Templates of other meaning have these names: {{try}} of rugby, {{ron}}, {{cop}}.
_NO_TEMPLATES = frozenset(("RON", "COP", "ARS", "SAR"))


def _scale(word: str) -> str:
  """ million; "" for what is none, such as the year of the amount."""
  words = _SCALES.get(word.casefold(), word if _SCALE_WORDS.fullmatch(word) else "")
  return f" {words}" if words else ""


def _money(code: str):
  """{{US$|1.5 million}}, {{US$|1.5|million}} -> US$1.5 million"""
  def shown(call: Call) -> str:
    return f"{_SIGNS[code]}{grouped(call.at(0))}{_scale(call.at(1))}"
  return shown


def _currency(call: Call) -> str:
  """{{currency|500|EUR}} -> €500"""
  code = call.at(1) or call.get("type", "code")
  sign = _SIGNS.get(code.upper(), f"{code} ")
  return f"{sign}{grouped(call.get('amount') or call.need(0))}".strip()


def _exchanged(call: Call) -> str:
  """{{FXConvert|IND|5|b}} -> ₹5 billion, without what it is worth in dollars"""
  code = _COUNTRIES.get(call.need(0).upper(), call.at(0))
  return f"{_SIGNS.get(code, f'{code} ')}{grouped(call.need(1))}{_scale(call.at(2))}"


def _pounds(call: Call) -> str:
  """{{£sd|l=5|s=3|d=2}} -> £5 3s 2d"""
  parts = [call.get(name) or call.at(place) for place, name in enumerate("lsd")]
  shown = " ".join(form % part for form, part in zip(("£%s", "%ss", "%sd"), parts) if part)
  if not shown:
    raise Unrendered
  return shown


def _of_then(call: Call) -> str:
  """{{inflation|US|1500|1950}} -> 1,500: what it is worth today needs a table of prices.

  With `fmt=eq` the page shows this sum, too: $1,500 (equivalent to $19,600 in 2024).
  """
  sign = call.get("cursign") or (
      _OF_INDEX.get(call.at(0).upper(), "") if call.get("fmt") == "eq" else "")
  return sign + grouped(call.need(1).replace(",", ""))


MONEY_TEMPLATES = {
    **{code.casefold(): _money(code) for code in _SIGNS if code not in _NO_TEMPLATES},
    **{name: _money(code) for name, code in _CODES.items()},
    # What it is worth in dollars is left to who reads it.
    **{f"{code.casefold()}{gap}convert": _money(code)
       for code in _SIGNS for gap in ("", " ")}, "currency": _currency,
    "inflation": _of_then, "usdcy": lambda call: f"US${grouped(call.need(0))}",
    **dict.fromkeys(("inflation/year", "inflation year", "inflation-year"),
                    lambda call: "prices of the time"),
    "fxconvert": _exchanged, "£sd": _pounds, "pounds, shillings, and pence": _pounds}
