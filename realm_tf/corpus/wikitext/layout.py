"""Rendered wikitext as paragraphs, without what markup left behind."""

import re
import unicodedata

from realm_tf.corpus.wikitext.powers import PLUS
from realm_tf.corpus.wikitext.quotes import without_marks

_SWITCHES = re.compile(r"__[A-Z]+__")
# What is left of a table that the parser did not know as one.
_TABLE_LINE = re.compile(r"^\s*(\{\||\|\}|\|[-+]|\||!(?=[^!]*\|)).*$", re.MULTILINE)
_SPACES = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f]+")
_MIXED = re.compile(rf"(?<=\d){PLUS}")
_FRACTION = re.compile("([⁰¹²³⁴-⁹]+)[/⁄]([₀-₉]+)")
_WITHOUT_BASE = re.compile(r"(?<!\S)\^\((\d+[/⁄]\d+)\)")
_EMPTY_BRACKETS = re.compile(r"\(\s*[,;:/–—-]*\s*\)|\[\s*\]")
_REPAIRS = (
    (re.compile(r"\(\s*(?:[,;:]\s*)+"), "("), (re.compile(r"(?:\s*[,;:])+\s*\)"), ")"),
    (re.compile(r"\(\s+"), "("), (re.compile(r"\s+\)"), ")"),
    (re.compile(r" +(?=[,;](?:\s|$))"), ""), (re.compile(r" +(?=\.(?:\s|$))"), ""),
    (re.compile(r"([,;])(?: ?[,;])+(?=\s)"), r"\1"))


def laid_out(text: str) -> str:
  """Paragraphs with a blank line between them; line ends within one are spaces."""
  text = _FRACTION.sub(lambda match: PLUS + unicodedata.normalize(
      "NFKC", f"{match[1]}/{match[2]}"), text)  # ¹/₂ is 1/2
  text = _WITHOUT_BASE.sub(r"\1", text)  # <sup>1/4</sup> of a mile
  text = _MIXED.sub(" ", text).replace(PLUS, "")
  text = without_marks(_TABLE_LINE.sub("", _SWITCHES.sub("", text)))
  paragraphs = (_paragraph(paragraph) for paragraph in re.split(r"\n\s*\n", text))
  return "\n\n".join(filter(None, paragraphs))


def _paragraph(text: str) -> str:
  text = _SPACES.sub(" ", text.replace("\n", " ").replace("\xad", ""))
  shorter = _EMPTY_BRACKETS.sub("", text)
  while shorter != text:  # brackets within brackets
    text, shorter = shorter, _EMPTY_BRACKETS.sub("", shorter)
  for pattern, repaired in _REPAIRS:
    text = pattern.sub(repaired, text)
  text = _SPACES.sub(" ", text).strip()
  return text if any(char.isalnum() for char in text) else ""
