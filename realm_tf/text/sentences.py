"""Splits running text into sentences by rules: quick, and the same everywhere."""

import re
from typing import cast

from realm_tf.text.field_lines import BEGINS
from realm_tf.text.table_lines import BAR

# They stand before what they belong to, so that no sentence ends with them.
_NEVER_LAST = frozenset("""
  dr mr mrs ms mx messrs prof st ste mt ft gen col lt cmdr adm sgt capt maj brig cpl pvt
  rev fr hon gov sen rep pres supt insp vs cf viz e.g i.e eg ie ca approx fig figs eq
  vol vols pp ch ed eds trans op pl lit fl al incl esp resp
""".split())
# They may end a sentence or not: the next word tells.
_MAYBE_LAST = frozenset("""
  inc ltd co corp llc bros jr sr esq etc u.s u.k a.m p.m ph.d m.d b.a m.a d.c b.c a.d
  b.c.e c.e jan feb mar apr jun jul aug sept sep oct nov dec mon tue wed thu fri sat sun
  ave blvd rd sq dept univ assn est gov min max hr hrs sec lb lbs oz km cm mm kg mi
""".split())
# Abbreviations only before a figure: "No. 5", "c. 1920", "p. 7".
_BEFORE_FIGURE = frozenset("no nos c p b d r art sec ver cap pt v".split())
_STARTERS = frozenset("""
  a after all also although an and another as at because before both but by despite
  during each even finally first following for from furthermore he her here his how
  however i if in instead it its later many meanwhile moreover most nevertheless no now
  of on one only other our over several she similarly since so some such that the their
  then there these they this those though through thus to today two under unlike until
  upon we what when where which while who with within you
""".split())

_CLOSERS = "\"'”’»›)\\]}"
_OPENERS = "\"'“‘«‹([{¿¡*"
# It begins with a character, which `re` looks for before all else. The look-behind and the
# possessive quantifiers keep it linear on rows of dots.
_END = re.compile(
    r"[.!?…。！？\n](?:(?<=[.!?…])(?<![.!?…].)[.!?…]*+"
    rf"(?P<closers>[{_CLOSERS}]*+)(?=\s|$)(?=\s*[{re.escape(_OPENERS)}]*(?P<next>[\w’']*))"
    r"|(?<=[。！？])[。！？]*[」』”’）]*"
    rf"|(?<=\n)(?:[ \t\r\f\v]*\n\s*|(?={BEGINS}|[^\n]*{re.escape(BAR.decode())})))")
_LAST_WORD = re.compile(r"[\w.&’'-]*$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_BRACKETS = re.compile(r"[()\[\]]")
_LONGEST_BRACKET = 500
_PAIRS = {")": "(", "]": "["}


def _bracketed(text: str) -> list[tuple[int, int]]:
  """The outermost pairs of matching brackets; one left open is passed over.

  So is one whose partner is far: ":(" is not a bracket.
  """
  open_at: list[tuple[str, int]] = []
  pairs: list[tuple[int, int]] = []
  for match in _BRACKETS.finditer(text):
    bracket = match.group()
    if bracket not in _PAIRS:
      open_at.append((bracket, match.start()))
    elif open_at and open_at[-1][0] == _PAIRS[bracket]:
      _, start = open_at.pop()
      if match.start() - start > _LONGEST_BRACKET:
        continue
      while pairs and pairs[-1][0] > start:
        pairs.pop()
      pairs.append((start, match.start()))
  return pairs


def _ends_sentence(text: str, match: re.Match) -> bool:
  following = match["next"]
  if following[:1].islower():
    return False
  if match.group() != ".":
    return True
  # No abbreviation is longer than the window; text is not copied in the long.
  before = text[max(0, match.start() - 24):match.start()].rpartition(" ")[2]
  # It matches the empty string, and so always.
  word = before if before.isalnum() else cast(
      re.Match, _LAST_WORD.search(before)).group().strip("'’-.")
  lower = word.lower()
  if lower in _NEVER_LAST:
    return False
  if lower in _BEFORE_FIGURE and following[:1].isdigit():
    return False
  if lower in _MAYBE_LAST or _INITIALS.fullmatch(word):
    return not following or following.lower() in _STARTERS
  return True


def split_sentences(text: str) -> list[tuple[int, int]]:
  """Character spans of the sentences of `text`, in order.

  Spans begin and end with a visible character; between them lies only white space.
  A blank line always ends a sentence, and so does a line feed before a row of a table, an
  item or a field (`table_lines`, `field_lines`). Brackets that are closed are not split
  otherwise.
  """
  brackets = _bracketed(text)
  spans, start, bracket = [], 0, 0
  for match in _END.finditer(text):
    while bracket < len(brackets) and brackets[bracket][1] < match.start():
      bracket += 1
    blank_line = text[match.start()] == "\n"
    inside = bracket < len(brackets) and brackets[bracket][0] < match.start()
    # The full stop in "(as he said.)" takes the bracket along as its closer.
    if not blank_line and inside and brackets[bracket][1] >= match.end():
      continue
    if match["next"] is not None and not _ends_sentence(text, match):
      continue
    spans.append((start, match.end()))
    start = match.end()
  spans.append((start, len(text)))
  stripped = []
  for first, last in spans:
    piece = text[first:last]
    bare = piece.strip()
    if bare:
      first += len(piece) - len(piece.lstrip())
      stripped.append((first, first + len(bare)))
  return stripped
