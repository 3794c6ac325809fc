"""What BERT makes of one character: dropped, a space, alone, or part of a word.

Plain Python: the tokenizer makes a table of it (`normalizer`), and what counts as the same
words is told from it (`words`).
"""

import unicodedata

UNKNOWN_CHAR = 0x10FFFF  # a non-character: in no vocabulary
_SPACE = 0x20

# What becomes of a character.
DROP, MARK, BLANK, ALONE, LETTER = range(5)

# Nothing is assigned between the end of the CJK extensions and plane 14, which
# holds only tags, variation selectors and, above it, private use.
ASSIGNED_END = 0x32400
PLANE_14 = 0xE0000
VARIATION_SELECTORS = (0xE0100, 0xE01EF)

# Ideographs, and code points yet to be assigned, that nothing decomposes: half of the
# table, without a look-up each.
_PLAIN = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2F7FF), (0x2FA20, 0x323FF))
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def within(code: int, ranges: tuple[tuple[int, int], ...]) -> bool:
  """Whether a code point is in one of the ranges, ends included."""
  for first, last in ranges:
    if first <= code <= last:
      return True
  return False


def _is_punctuation(char: str) -> bool:
  # BERT counts every ASCII symbol, '$' and '^' too, as punctuation.
  if char < "\x80":
    return char > " " and not char.isalnum() and char != "\x7f"
  return unicodedata.category(char).startswith("P")


def _beyond(code: int, lower_case: bool) -> tuple[int, list[int]]:
  """`replacement` where nothing is assigned, and behind it."""
  if code < PLANE_14:
    return LETTER, [UNKNOWN_CHAR]
  if not within(code, (VARIATION_SELECTORS,)):
    return DROP, []
  return (MARK, []) if lower_case else (LETTER, [UNKNOWN_CHAR])


def replacement(code: int, lower_case: bool) -> tuple[int, list[int]]:
  """What BERT makes of one character: its kind, and the code points it becomes."""
  if code >= ASSIGNED_END:
    return _beyond(code, lower_case)
  if code >= _PLAIN[1][0] and within(code, _PLAIN):  # most scripts stand before all of them
    if within(code, _IDEOGRAPHS):
      return ALONE, [_SPACE, code, _SPACE]
    return LETTER, [code]
  char = chr(code)
  category = unicodedata.category(char)
  if char in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
    return BLANK, [_SPACE]
  if category in ("Cc", "Cf", "Co", "Cs") or code in (0, 0xFFFD):
    return DROP, []
  if lower_case:
    decomposed = unicodedata.normalize("NFD", char)
    bare = [c for c in decomposed if unicodedata.category(c) != "Mn"]
    if not bare:
      return MARK, []
    char = "".join(c.lower() for c in bare)
  codes = [ord(c) for c in char]
  if within(code, _IDEOGRAPHS) or _is_punctuation(char[0]):
    return ALONE, [_SPACE, *codes, _SPACE]
  return LETTER, codes
