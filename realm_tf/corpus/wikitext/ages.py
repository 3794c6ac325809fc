"""Templates that show how much time lies between two dates."""

import calendar
import datetime
import re

from realm_tf.corpus.wikitext.call import Call, Unrendered
from realm_tf.corpus.wikitext.dates import aged, as_parts, date_in_words, read_date


def _two(call: Call) -> list[list[str]]:
  """Year, month and day of the earlier date and of the later one, as they are given."""
  if call.get("year1", "year"):
    return [[call.get(f"{name}{number}", *([name] if number == 1 else []))
             for name in ("year", "month", "day")] for number in (1, 2)]
  if read_date(call.at(0)):  # each in one argument
    return [list(read_date(text) or ()) for text in (call.at(0), call.at(1))]
  return [call.positional[:3], call.positional[3:6]]


def _two_dates(call: Call) -> tuple[datetime.date, datetime.date]:
  """The earlier and the later one; until today is not known."""
  try:
    first, last = (datetime.date(*as_parts(part)) for part in _two(call))
  except (ValueError, TypeError):
    raise Unrendered from None
  return first, last


def _months(first: datetime.date, last: datetime.date) -> tuple[int, int]:
  """Whole months, and the days behind them."""
  months = (last.year - first.year) * 12 + last.month - first.month
  if last.day >= first.day:
    return months, last.day - first.day
  year, month = divmod(last.year * 12 + last.month - 2, 12)
  length = calendar.monthrange(year, month + 1)[1]
  return months - 1, max(length - first.day, 0) + last.day


def _count(number: int, name: str) -> str:
  return f"{number:,} {name}{'' if number == 1 else 's'}"


def _years(first: datetime.date, last: datetime.date) -> str:
  return str(_months(first, last)[0] // 12)


def _only_months(first: datetime.date, last: datetime.date) -> str:
  return str(_months(first, last)[0])


def _days(first: datetime.date, last: datetime.date) -> str:
  return f"{(last - first).days:,}"


def _weeks(first: datetime.date, last: datetime.date) -> str:
  return f"{(last - first).days // 7:,}"


def _weeks_and_days(first: datetime.date, last: datetime.date) -> str:
  weeks, days = divmod((last - first).days, 7)
  return f"{_count(weeks, 'week')}, {_count(days, 'day')}"


def _years_and_months(first: datetime.date, last: datetime.date) -> str:
  years, months = divmod(_months(first, last)[0], 12)
  return f"{_count(years, 'year')}, {_count(months, 'month')}"


def _years_and_days(first: datetime.date, last: datetime.date) -> str:
  years = _months(first, last)[0] // 12
  birthday = datetime.date(first.year + years, first.month, 1) + datetime.timedelta(
      days=first.day - 1)
  return f"{_count(years, 'year')}, {_count((last - birthday).days, 'day')}"


def _years_months_and_days(first: datetime.date, last: datetime.date) -> str:
  months, days = _months(first, last)
  return (f"{_count(months // 12, 'year')}, {_count(months % 12, 'month')} and "
          f"{_count(days, 'day')}")


def _since(call: Call) -> str:
  """{{time ago|2015-03-01}} -> March 1, 2015: how long ago that is depends on today.

  A year alone is `in 1990`, for "years ago" may stand behind.
  """
  if when := read_date(re.sub(r"[ T]*\d?\d:\d\d(:\d\d)?( ?[AP]M)?Z?", "", call.need(0))):
    return date_in_words(Call(call.name, list(when), call.named), 0)
  shown = date_in_words(call, 0)
  return f"in {shown}" if re.fullmatch(r"\d{1,4}", shown) else shown


def _between(measure):
  """What lies between the dates; where there is but one, that date: it says as much."""
  def shown(call: Call) -> str:
    try:
      first, last = _two_dates(call)
    except Unrendered:
      if measure is _years and call.get("year1", "year"):  # without months: 29–30
        return aged(*reversed(_two(call)))
      if call.given and (words := date_in_words(call, 0)) and not any(call.positional[3:]):
        return words
      raise
    if last < first:
      raise Unrendered
    return measure(first, last)
  return shown


AGE_TEMPLATES = {name.strip(): _between(measure) for names, measure in (
    ("age, age in years, age nts, age in years nts", _years),
    ("age in months", _only_months), ("age in days, age in days nts, days between", _days),
    ("age in weeks", _weeks), ("age in weeks and days", _weeks_and_days),
    ("age in years and months, age ym", _years_and_months),
    ("age in years and days, age in years and days nts, ayd, age yd", _years_and_days),
    ("age in years; months and days, ymd, time interval, age in years; months; weeks and "
     "days, age in years months and days, age ymd", _years_months_and_days))
    for name in names.replace(";", "\0").split(",")}
AGE_TEMPLATES = {name.replace("\0", ","): shown for name, shown in AGE_TEMPLATES.items()}
AGE_TEMPLATES |= dict.fromkeys(
    ("years ago", "year ago", "years since", "time ago", "time since", "months ago",
     "years or months ago", "weeks or days ago", "days ago", "time elapsed"), _since)
