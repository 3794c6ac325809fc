"""Templates that name a thing by its number or year: patents, roads, seasons, stars."""

import re
from typing import Callable

from realm_tf.corpus.small_figures import subscript
from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.numbers import grouped, ordinal


def _prefixed(prefix: str) -> Callable[[Call], str]:
  """{{IETF RFC|2616}} -> RFC 2616"""
  return lambda call: f"{prefix} {', '.join(call.given) or call.need(0)}"


def _patent(call: Call) -> str:
  """{{US patent|1234567}} -> U.S. patent 1,234,567"""
  return f"U.S. patent {grouped(call.need(0))}"


def _sequence(call: Call) -> str:
  """{{OEIS|A000045}} -> (sequence A000045 in the OEIS)"""
  return f"(sequence {call.get('id') or call.need(0)} in the OEIS)"


def _minor_planet(call: Call) -> str:
  """{{mpl|2003 UB|313}} -> 2003 UB₃₁₃; {{mpl|(1234) 1990 AB|1}}"""
  return call.need(0) + subscript(call.at(1)) + call.at(2)


def _roads(call: Call) -> str:
  """{{jct|state=NY|I|87|NY|17}} -> I-87 / NY 17"""
  pairs = [(call.at(place), call.at(place + 1)) for place in range(
      0, len(call.positional), 2)]
  shown = " / ".join(f"{kind}{'-' if kind == 'I' else ' '}{number}".strip()
                     for kind, number in pairs if kind)
  towns = " – ".join(filter(None, (call.get("city1", "location1"),
                                   call.get("city2", "location2"))))
  return " – ".join(filter(None, (shown or call.need(0), towns)))


def _year(call: Call) -> str:
  """{{by|1990}} -> 1990: a season that is named as its year is."""
  return call.need(0)


def _winter(call: Call) -> str:
  """{{nbay|2004}} -> 2004–05; {{nbay|2004|end}} -> 2005"""
  if not re.fullmatch(r"\d{4}", call.need(0)):
    raise Unrendered
  first, last = int(call.at(0)), int(call.at(0)) + 1
  return {"start": str(first), "end": str(last), "full": f"{first}–{last}"}.get(
      call.at(1), f"{first}–{last % 100:02}" if last % 100 else f"{first}–{last}")


def _team(call: Call) -> str:
  """{{cfb link|year=2010|team=Texas Longhorns|title=Texas}}"""
  shown = call.get("title") or " ".join(filter(None, (call.get("year"), call.get("team"))))
  return shown or call.need(0)


def _district(call: Call) -> str:
  """{{ushr|Texas|14|T}} -> Texas's 14th congressional district; {{ushr|TX|14}} -> TX-14"""
  state, number = call.need(0), call.at(1)
  if call.at(2).casefold() in ("", "x"):
    return f"{state}-{number}" if state.isupper() else f"{state} {number}".rstrip()
  if len(call.at(2)) > 1:
    return call.at(2)
  which = "at-large" if number.casefold() in ("al", "at-large") else ordinal(
      Call(call.name, [number], {}))
  district = f"{which} congressional district"
  return district if call.at(2) == "D" else f"{state}'s {district}"


def _law(form: str) -> Callable[[Call], str]:
  """{{USPL|111|148}} -> Pub. L. 111–148, {{USC|42|1983}} -> 42 U.S.C. § 1983"""
  def shown(call: Call) -> str:
    return form.format(call.need(0), call.need(1))
  return shown


def _ruling(call: Call) -> str:
  """{{ussc|410|113|1973}} -> 410 U.S. 113 (1973), behind its name where that is given"""
  year = call.at(2) or call.get("year")
  name = f"{call.get('name')}, " if call.get("name") else ""
  return f"{name}{call.need(0)} U.S. {call.at(1, '___')}" + (f" ({year})" if year else "")


def _bill(call: Call) -> str:
  """{{USBill|111|HR|3590}} -> H.R. 3590"""
  house = call.need(1).upper().replace(".", "")
  return f"{_HOUSES.get(house, call.at(1))} {call.need(2)}"


def _won(call: Call) -> str:
  """{{winning percentage|10|5}} -> .667; a tie is half a win."""
  try:
    won, lost, tied = (int(call.at(place, "0").replace(",", "")) for place in range(3))
    share = round(1000 * (2 * won + tied) / (2 * (won + lost + tied)))
  except (ValueError, ArithmeticError):
    raise Unrendered from None
  return f"{share / 1000:.3f}".removeprefix("0")


def _airport(call: Call) -> str:
  """{{airport codes|JFK|KJFK|JFK}} -> (IATA: JFK, ICAO: KJFK, FAA LID: JFK)"""
  codes = ", ".join(f"{kind}: {code}" for kind, code in zip(
      ("IATA", "ICAO", "FAA LID"), call.positional) if code)
  return codes if call.get("p") == "n" or not codes else f"({codes})"


_HOUSES = {"HR": "H.R.", "S": "S.", "HRES": "H.Res.", "SRES": "S.Res.",
           "HJRES": "H.J.Res.", "SJRES": "S.J.Res.", "HCONRES": "H.Con.Res."}
NUMBERED_TEMPLATES: dict[str, Callable[[Call], str]] = {
    **dict.fromkeys(("us patent", "us-patent"), _patent),
    **dict.fromkeys(("ietf rfc", "rfc"), _prefixed("RFC")), "oeis": _sequence,
    **dict.fromkeys(("oeis2c", "oeis link"), _year), "ec number": _prefixed("EC"),
    "ngc": _prefixed("NGC"), **dict.fromkeys(("mpl", "mp", "mpl-"), _minor_planet),
    **dict.fromkeys(("uspl", "us public law"), _law("Pub. L. {}–{}")),
    "usstat": _law("{} Stat. {}"), "usbill": _bill, "ussc": _ruling,
    **dict.fromkeys(("usc", "unitedstatescode", "uscsub"), _law("{} U.S.C. § {}")),
    **dict.fromkeys(("codefedreg", "cfr"), _law("{} CFR {}")),
    "cve": lambda call: f"CVE-{call.need(0)}",
    **dict.fromkeys(("airport codes", "airport code"), _airport),
    **dict.fromkeys(("rating", "stars"), lambda call: f"{call.need(0)}/{call.at(1, '5')}"),
    "jct": _roads, "ushr": _district,
    **dict.fromkeys(("winning percentage", "winpct", "winning pct"), _won),
    **dict.fromkeys(("by", "mlby", "mlb year", "baseball year", "nfly", "nfl year", "scy",
                     "avyear", "mlsy", "cfl year", "cfly", "wnbay", "fy"), _year),
    **dict.fromkeys(("nbay", "nba year", "nhly", "nhl year", "whay", "abay"), _winter),
    **dict.fromkeys(("cfb link", "cbb link", "cbsb link", "nfl season link"), _team)}
