"""Dates and numbers by expression, for English.

The paper finds dates so whatever finds the names; it says nothing of numbers.
"""

import re
from typing import NamedTuple

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December|Jan\.?|Feb\.?|Mar\.?|Apr\.?|Jun\.?|Jul\.?|Aug\.?|Sept?\.?|Oct\.?|Nov\.?"
    r"|Dec\.?)")
_DAY = r"(?:[12]?\d|3[01])(?:st|nd|rd|th)?"
_ERA = r"(?:BCE|BC|CE|AD|B\.C\.E?\.?|A\.D\.|C\.E\.)"
_YEAR = r"(?:1\d{3}|20\d{2})"
_ORDINAL = (
    r"(?:\d{1,2}(?:st|nd|rd|th)|(?:twenty-)?(?:first|second|third|fourth|fifth|sixth"
    r"|seventh|eighth|ninth)|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth"
    r"|sixteenth|seventeenth|eighteenth|nineteenth|twentieth)")
_NUMBER = r"\d++(?:[.,]\d++)*+"
_SCALE = r"(?:hundred|thousand|million|billion|trillion)"
_UNIT = (
    r"(?:%|°\s?[CFK]\b|(?:percent|per\scent|kilomet(?:er|re)s?|met(?:er|re)s?|miles?"
    r"|feet|foot|inch(?:es)?|acres?|hectares?|square\s\w+|km2|km²|km|cm|mm|m|ft|mi|kg"
    r"|g|mg|kilograms?|grams?|tonnes?|tons?|pounds?|lbs?|lit(?:er|re)s?|gallons?"
    r"|degrees?|hours?|minutes?|seconds?|days?|weeks?|months?|years?|centuries|decades"
    r"|mph|km/h|hp|kW|MW|GW|Hz|kHz|MHz|GHz|bits?|bytes?|kB|MB|GB|TB|dollars?|euros?"
    r"|people|inhabitants|species|countries|episodes|languages)\b)")

# Of two that begin at the same place the first wins: longest forms first.
_FIGURES = re.compile(
    rf"""(?<![\w.])(?<!\d,)(?:
      {_DAY}(?:\s?[–-]\s?{_DAY})?\s(?:of\s)?{_MONTH}(?:,?\s\d{{3,4}}(?:\s{_ERA})?)?\b
    | {_MONTH}\s{_DAY}(?:\s?[–-]\s?{_DAY})?(?:,\s?\d{{3,4}}(?:\s{_ERA})?)?\b
    | {_MONTH},?\s(?:of\s)?{_YEAR}\b
    | {_ORDINAL}(?:\s(?:or|and|to)\s{_ORDINAL})?[\s-](?:century|centuries|millennium)
        (?:\s{_ERA})?\b
    | {_YEAR}s\b | \d0s\b
    | {_YEAR}\s?[–-]\s?(?:{_YEAR}|\d\d)(?:\s{_ERA})?\b
    | \d{{1,5}}(?:\s?[–-]\s?\d{{1,5}})?\s{_ERA}(?!\w) | AD\s\d{{1,4}}\b
    | (?P<number> [$£€¥]\s?{_NUMBER}(?:\s{_SCALE})?\b
        | {_NUMBER}(?:\s?[–-]\s?{_NUMBER})?(?:\s{_SCALE}\b(?:\s{_UNIT})?|\s?-?{_UNIT})
        | \d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?\b)
    | {_YEAR}(?![\w.,]?\d)(?!\w)
    )""", re.VERBOSE)
# What each of them begins with: to try them all at every place takes five times as long.
_BEGINS = (r"[0-9$JFMASOND{}\u0080-\U0010ffff](?<![\w.].)"
           r"(?:(?<![A-Za-z])|(?=an|u[nl]|eb|a[ry]|pr|ug|D\s|ep|ct|ov|ec{}))")
_STARTS = re.compile(_BEGINS.format("", ""))
_STARTS_AND_ORDINALS = re.compile(_BEGINS.format("tfsen", "|hi|we|en|i|ou|ix|ev|l"))


class Figure(NamedTuple):
  """Characters [start, end) of a date or a number."""
  start: int
  end: int
  is_number: bool


def figures(text: str) -> list[Figure]:
  """Dates, years, centuries, and numbers with a unit or in the thousands.

  They are sorted and disjoint. A length of time ("three days") is a number.
  """
  found, done = [], 0
  has_centuries = "centur" in text or "millennium" in text
  for start in (_STARTS_AND_ORDINALS if has_centuries else _STARTS).finditer(text):
    if start.start() >= done and (figure := _FIGURES.match(text, start.start())):
      found.append(Figure(*figure.span(), figure.lastgroup == "number"))
      done = figure.end()
  return found
