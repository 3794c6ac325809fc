"""Templates that show dates, years and ages."""

import datetime
import re

from realm_tf.corpus.wikitext.call import Call, Unrendered

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August",
          "September", "October", "November", "December")


def _month(text: str) -> str:
  if re.fullmatch("0?[1-9]|1[0-2]", text):
    return MONTHS[int(text) - 1]
  start = text.casefold().rstrip(".")
  return next((month for month in MONTHS
               if len(start) >= 3 and month.casefold().startswith(start)), "")


def _date(parts: list[str], day_first: bool) -> str:
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


def date(call: Call) -> str:
  """{{start date|1969|7|20}} -> July 20, 1969; {{birth-date|7 May 1990}} as it is."""
  given = call.positional if call.at(0) else [
      call.get(name) for name in ("year", "month", "day")]
  first = given[0] or call.need(0)
  iso = re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", first.strip())
  parts = list(iso.groups()) if iso else given
  day_first = call.says_yes("df") or call.at(1) in ("dmy", "DMY")
  return _date(parts, day_first) if iso or re.fullmatch(r"\d{1,4}", first.strip()) else first


def _years(later: list[str], earlier: list[str]) -> int:
  """Whole years between two dates."""
  try:
    (year, month, day), (y, m, d) = ([int(part) for part in parts[:3]]
                                     for parts in (later, earlier))
    datetime.date(year, month, day), datetime.date(y, m, d)
  except ValueError:
    raise Unrendered from None
  return year - y - ((month, day) < (m, d))


def death(call: Call) -> str:
  """{{death date and age|1955|4|18|1879|3|14}} -> April 18, 1955 (aged 76)"""
  shown = date(call)
  try:
    return f"{shown} (aged {_years(call.positional, call.positional[3:6])})"
  except Unrendered:
    return shown


def death_with_age(call: Call) -> str:
  """{{death date and given age|1955|4|18|76}} -> April 18, 1955 (aged 76)"""
  return f"{date(call)} (aged {call.need(3)})"


def born_by_age(call: Call) -> str:
  """{{birth based on age as of date|30|2010|5|1}} -> 1979 or 1980"""
  years, year = (call.need(place) for place in (0, 1))
  if not (years.isdecimal() and year.isdecimal()):
    raise Unrendered
  last = int(year) - int(years)
  return f"{last - 1} or {last}"


def years_and_days(call: Call) -> str:
  """{{age in years and days|1990|1|1|2010|5|1}} -> 20 years, 120 days"""
  years = _years(call.positional[3:6], call.positional[:3])
  (year, month, day), last = (tuple(map(int, call.positional[start:start + 3]))
                              for start in (0, 3))
  birthday = datetime.date(year + years, month, 1) + datetime.timedelta(days=day - 1)
  return f"{years} years, {(datetime.date(*last) - birthday).days} days"


def death_year(call: Call) -> str:
  """{{death year and age|1990|1930}} -> 1990 (aged 59–60)"""
  try:
    years = int(call.need(0)) - int(call.need(1))
  except (ValueError, Unrendered):
    return call.need(0)
  return f"{call.at(0)} (aged {years - 1}–{years})"


def age(call: Call) -> str:
  """The years between two dates; those until today are not known."""
  return str(_years(call.positional[3:6], call.positional[:3]))


def date_of_three(call: Call) -> str:
  """Day, month, year: {{date de naissance|14|mars|1879}}"""
  return " ".join(call.given) or call.need(0)


def as_of(call: Call) -> str:
  """{{as of|2010|5}} -> As of May 2010"""
  words = call.get("pre") or ("since" if call.says_yes("since") else "as of")
  words = words if call.says_yes("lc") else words[0].upper() + words[1:]
  return call.get("alt") or f"{words} {_date(call.positional, call.says_yes('df'))}"


def _about(sign: str):
  """{{circa|1500|1510}} -> c. 1500 – c. 1510"""
  def shown(call: Call) -> str:
    return " – ".join(f"{sign} {year}" for year in call.given) or sign
  return shown


def old_style(call: Call) -> str:
  """{{OldStyleDate|1 January|1700|21 December}} -> 1 January [O.S. 21 December] 1700"""
  old = f" [O.S. {call.at(2)}]" if call.at(2) else ""
  return f"{call.need(0)}{old} {call.at(1)}".rstrip()


def days(call: Call) -> str:
  """The days between two dates."""
  try:
    first, last = (datetime.date(*map(int, call.positional[start:start + 3]))
                   for start in (0, 3))
  except (ValueError, TypeError):
    raise Unrendered from None
  return f"{(last - first).days:,}"


def reign(call: Call) -> str:
  return "r. " + "–".join(call.given)


def marriage(call: Call) -> str:
  years = [f"m. {call.at(1)}" if call.at(1) else "",
           f"{call.get('end') or 'div.'} {call.at(2)}" if call.at(2) else ""]
  shown = "; ".join(filter(None, years))
  return f"{call.need(0)} ({shown})" if shown else call.need(0)


_DATES = """
  start date, end date, start date and age, end date and age, birth date, birth date and age,
  birth-date, birth-date and age, bda, dob, death date, death-date, birth year and age,
  birth year, date, dts, film date, start-date, end-date, launch date, start and end dates,
  start date and years ago, release date, foundation date, isodate, date table sorting, d-da
"""
DATE_TEMPLATES = {
    **{name.strip(): date for name in " ".join(_DATES.split()).split(",")},
    "death date and age": death, "death-date and age": date, "dda": death,
    "death date and given age": death_with_age, "birth based on age as of date": born_by_age,
    "age in years and days": years_and_days, "death year and age": death_year,
    "age": age, "age in years": age,
    "as of": as_of, "asof": as_of, "circa": _about("c."), "c.": _about("c."),
    "ca.": _about("c."), "ca": _about("c."), "b.": _about("b."), "d.": _about("d."),
    "age in days": days, "oldstyledate": old_style, "old style date": old_style,
    "floruit": _about("fl."), "fl.": _about("fl."),
    "reign": reign, "r.": reign, "marriage": marriage, "date de naissance": date_of_three,
    "date de décès": date_of_three, "date-": date_of_three}
