"""Templates that show dates and years, and how old somebody was then."""

import datetime
import re
from typing import Callable, Sequence

from realm_tf.corpus.wikitext.call import Call, Unrendered

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August",
          "September", "October", "November", "December")
_WORD = r"[^\W\d_]{3,9}\.?"
_ISO = re.compile(r"(\d{4})-(\d\d?)(?:-(\d\d?))?")
_DAY_FIRST = re.compile(rf"(?:(\d\d?) )?({_WORD}),? (\d{{3,4}})")
_MONTH_FIRST = re.compile(rf"({_WORD}) (\d\d?),? (\d{{3,4}})")
_YEAR = re.compile(r"\d{1,4}")


def _month(text: str) -> str:
  if re.fullmatch("0?[1-9]|1[0-2]", text):
    return MONTHS[int(text) - 1]
  start = text.casefold().rstrip(".")
  return next((month for month in MONTHS
               if len(start) >= 3 and month.casefold().startswith(start)), "")


def read_date(text: str) -> tuple[str, str, str] | None:
  """Year, month and day of a date in one text, where later ones may be empty."""
  text = " ".join(text.split())
  if iso := _ISO.fullmatch(text):
    return iso[1], iso[2], iso[3] or ""
  if (match := _DAY_FIRST.fullmatch(text)) and _month(match[2]):
    return match[3], match[2], match[1] or ""
  if (match := _MONTH_FIRST.fullmatch(text)) and _month(match[1]):
    return match[3], match[1], match[2]
  return None


def as_parts(parts: Sequence[str]) -> list[int]:
  """Year, month and day as numbers; a month may be named.

  Raises:
    ValueError: one of them is none.
  """
  year, month, day = (*(part.strip() for part in parts[:3]), "", "", "")[:3]
  return [int(year), MONTHS.index(_month(month)) + 1, int(day)]


def _date(parts: Sequence[str], day_first: bool) -> str:
  """Year, month and day, of which later ones may be missing, in words."""
  year, month, day = (*(part.strip() for part in parts[:3]), "", "", "")[:3]
  if not re.search(r"\d", year):
    raise Unrendered
  words = _month(month)
  if not words:
    return year
  if not re.fullmatch(r"\d{1,2}", day):
    return f"{words} {year}"
  return f"{int(day)} {words} {year}" if day_first else f"{words} {int(day)}, {year}"


def _says_day_first(call: Call, default: bool) -> bool:
  """Whether `df=y`, `mf=y`, `df=US` or a format asks for the day before the month."""
  asked = (text.casefold() for text in call.positional[1:])
  form = call.get("format", "df").casefold() or next(
      (text for text in asked if text in ("dmy", "mdy")), "")
  if form in ("mdy", "us") or call.says_yes("mf"):
    return False
  return form == "dmy" or call.says_yes("df") or default


def date_in_words(call: Call, place: int, day_first: bool = False) -> str:
  """The date that begins at an argument: year, month, day, or in one text."""
  given = call.positional[place:place + 3] if call.at(place) else [
      call.get(name) for name in ("year", "month", "day")] if not place else []
  first = (given[0] if given and given[0] else call.need(place)).strip()
  day_first = _says_day_first(call, day_first)
  if iso := _ISO.fullmatch(first):
    return _date([part or "" for part in iso.groups()], day_first)
  if re.fullmatch(r"\d\d?", first) and re.fullmatch(r"\d{3,4}", call.at(place + 2)):
    return " ".join(part for part in given if part)  # {{date|14|mars|1879}}
  if _YEAR.fullmatch(first):
    return _date(given, day_first)
  asked = call.get("format", "df", "mf") or call.name == "date"
  return _date(parts, day_first) if asked and (parts := read_date(first)) else first


def date(call: Call) -> str:
  """{{start date|1969|7|20}} -> July 20, 1969; {{birth-date|7 May 1990}} as it is."""
  return date_in_words(call, 0)


def _date_dmy(call: Call) -> str:
  """{{date|2010-05-12}} -> 12 May 2010"""
  return date_in_words(call, 0, day_first=True)


def _date_and_time(call: Call) -> str:
  """{{start date|1969|7|20|20|17}} -> 20:17, July 20, 1969"""
  clock = [part for part in call.positional[3:6] if re.fullmatch(r"\d\d?", part)]
  if len(clock) < 2:
    return date(call)
  return f"{':'.join([clock[0], *(part.zfill(2) for part in clock[1:])])}, {date(call)}"


def _films(call: Call) -> str:
  """{{film date|1999|10|15|Venice|2000|1|2}} -> October 15, 1999 (Venice), January 2, 2000"""
  shown = []
  for place in range(0, len(call.positional), 4):
    if call.at(place):
      where = f" ({call.at(place + 3)})" if call.at(place + 3) else ""
      shown.append(date_in_words(call, place) + where)
  return ", ".join(shown) or date(call)


def _from_to(call: Call) -> str:
  """{{start and end dates|2000|1|2|2001|3|4}} -> January 2, 2000 – March 4, 2001"""
  end = date_in_words(call, 3) if call.at(3) else ""
  return " – ".join(filter(None, (date(call), end)))


def aged(later: Sequence[str], earlier: Sequence[str]) -> str:
  """Whole years between two dates; both that it may be, where months or days are missing."""
  try:
    ends = []
    for parts in (later, earlier):
      year, month, day = (*(part.strip() for part in parts[:3]), "", "", "")[:3]
      month = str(MONTHS.index(_month(month)) + 1) if month else ""
      first = (int(year), int(month or 1), int(day or 1))
      last = (int(year), int(month or 12), int(day or 31))
      for complete in (first, last) if month and day else ():
        datetime.date(*complete)
      ends.append((first, last))
  except ValueError:
    raise Unrendered from None
  least, most = (end[0] - start[0] - (end[1:] < start[1:])
                 for end, start in ((ends[0][0], ends[1][1]), (ends[0][1], ends[1][0])))
  return str(least) if least == most else f"{least}–{most}"


def _death(call: Call) -> str:
  """{{death date and age|1955|4|18|1879|3|14}} -> April 18, 1955 (aged 76)"""
  try:
    if parts := read_date(call.at(0)):  # each in one argument
      return f"{date(call)} (aged {aged(parts, read_date(call.at(1)) or ())})"
    return f"{date(call)} (aged {aged(call.positional[:3], call.positional[3:6])})"
  except Unrendered:
    return date(call)


def _death_with_age(call: Call) -> str:
  """{{death date and given age|1955|4|18|76}} -> April 18, 1955 (aged 76)"""
  return f"{date(call)} (aged {call.need(3)})"


def _birth_with_age(call: Call) -> str:
  """{{birth date and age2|2020|1|1|1980|5|12}} -> May 12, 1980 (aged 39)"""
  return f"{date_in_words(call, 3)} (aged {aged(call.positional[:3], call.positional[3:6])})"


def _born_by_age(call: Call) -> str:
  """{{birth based on age as of date|30|2010|5|1}} -> 1979 or 1980"""
  years, year = (call.need(place) for place in (0, 1))
  if not (years.isdecimal() and year.isdecimal()):
    raise Unrendered
  last = int(year) - int(years)
  return f"{last - 1} or {last}"


def _age_of_then(call: Call) -> str:
  """{{age as of date|30|2010|5|1}} -> 30 (as of May 1, 2010)"""
  return f"{call.need(0)} (as of {date_in_words(call, 1)})"


def _death_year(call: Call) -> str:
  """{{death year and age|1990|1930}} -> 1990 (aged 59–60)"""
  try:
    years = int(call.need(0)) - int(call.need(1))
  except (ValueError, Unrendered):
    return call.need(0)
  month = f"{_month(call.at(2))} " if _month(call.at(2)) else ""
  return f"{month}{call.at(0)} (aged {years - 1}–{years})"


def _death_month(call: Call) -> str:
  """{{death month and age|1990|5|1920|6}} -> May 1990 (aged 69)"""
  died = _date(call.positional[:2], day_first=False)
  try:
    return f"{died} (aged {aged(call.positional[:2], call.positional[2:4])})"
  except Unrendered:
    return died


def _three(call: Call) -> str:
  """Day, month, year: {{date de naissance|14|mars|1879}}"""
  return " ".join(call.given) or call.need(0)


def _as_of(call: Call) -> str:
  """{{as of|2010|5|12}} -> As of 12 May 2010"""
  words = call.get("pre") or ("since" if call.says_yes("since") else "as of")
  words = words if call.says_yes("lc") else words[0].upper() + words[1:]
  when = _date(call.positional, _says_day_first(call, default=True))
  return call.get("alt") or f"{words} {when}{call.get('post')}"


def _about(sign: str) -> Callable[[Call], str]:
  """{{circa|1500|1510}} -> c. 1500 – c. 1510"""
  def shown(call: Call) -> str:
    return " – ".join(f"{sign} {year}" for year in call.given) or sign
  return shown


def _span(sign: str) -> Callable[[Call], str]:
  """{{reign|1837|1901}} -> r. 1837–1901"""
  def shown(call: Call) -> str:
    return f"{sign} {'–'.join(call.given)}".rstrip()
  return shown


def _old_style(call: Call) -> str:
  """{{OldStyleDate|1 January|1700|21 December}} -> 1 January [O.S. 21 December] 1700"""
  old = f" [O.S. {call.at(2)}]" if call.at(2) else ""
  return f"{call.need(0)}{old} {call.at(1)}".rstrip()


def _old_style_year(call: Call) -> str:
  """{{OldStyleDateDY|4 March|1710|21 February 1709}}, and {{OldStyleDateNY}} without years"""
  *new, old = call.given or [call.need(0)]
  return f"{' '.join(new)} [O.S. {old}]" if new else old


def _marriage(call: Call) -> str:
  """{{marriage|Ann|1990|2000|end=d}} -> Ann (m. 1990; died 2000)"""
  end = call.get("end").rstrip(".").casefold()
  years = [f"m. {call.at(1)}" if call.at(1) else "",
           f"{_ENDS.get(end, end)} {call.at(2)}" if call.at(2) else ""]
  shown = "; ".join(filter(None, years))
  return f"{call.need(0)} ({shown})" if shown else call.need(0)


_ENDS = {"": "div.", "div": "div.", "divorced": "div.", "d": "died", "died": "died",
         "sep": "sep.", "separated": "sep.", "ann": "ann.", "annulled": "ann.", "wid": "died",
         "widowed": "died"}
_DATES = """
  birth date, birth date and age, birth-date, birth-date and age, bda, dob,
  birth year and age, date of birth and age, date of birth, death date, death-date,
  birth year, dts, start-date, end-date, launch date,
  start date and years ago, release date,
  foundation date, isodate, iso date, release date and age, date table sorting, d-da, b-da,
  start date text, end date text,
  dtsh, birth year and age nts, birth month and age
"""
DATE_TEMPLATES = {
    **{name.strip(): date for name in " ".join(_DATES.split()).split(",")},
    **dict.fromkeys(("start date", "end date", "start date and age", "end date and age",
                     "start time"), _date_and_time),
    **dict.fromkeys(("death date and age", "death-date and age", "dda",
                     "date of death and age"), _death),
    **dict.fromkeys(("film date", "release dates", "television date"), _films),
    "start and end dates": _from_to,
    **dict.fromkeys(("oldstyledatedy", "oldstyledateny"), _old_style_year),
    **dict.fromkeys(("birth date and age2", "bda2"), _birth_with_age),
    "date": _date_dmy, "death date and given age": _death_with_age,
    "death-date and given age": lambda call: f"{call.need(0)} (aged {call.need(1)})",
    "birth based on age as of date": _born_by_age,
    "birth based on age at death": _born_by_age,
    "age as of date": _age_of_then, "death year and age": _death_year,
    "death month and age": _death_month, "monthname": lambda call: _month(call.need(0)),
    "as of": _as_of, "asof": _as_of,
    **dict.fromkeys(("circa", "c.", "ca.", "ca"), _about("c.")), "b.": _about("b."),
    "d.": _about("d."), "oldstyledate": _old_style,
    "old style date": _old_style, "floruit": _span("fl."), "fl.": _span("fl."),
    "fl": _span("fl."),
    "reign": _span("r."), "r.": _span("r."), "marriage": _marriage,
    "date de naissance": _three, "date de décès": _three, "date-": _three}
