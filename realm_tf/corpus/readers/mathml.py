"""Formulas of MathML in a line of text: (a+b)/2, 5 1/2, √(x+1), x^(n-1)."""

import re

from lxml import etree

from realm_tf.corpus.wikitext.powers import raised

# What stands between two parts of these.
_BETWEEN = {"mfrac": "/", "msup": "^", "mroot": "^1/", "msubsup": "^"}
OF_PARTS = frozenset(_BETWEEN)
FIRST = frozenset(("mfrac", "msqrt"))  # before which a sign or a space may stand
_SINGLE = re.compile(r"[\w.,√]*|\([^()]*\)|\[[^\[\]]*\]")


def is_single(text: str) -> bool:
  """Whether a text is one thing, which needs no brackets to be part of a fraction."""
  return bool(_SINGLE.fullmatch("".join(text.split())))


def parted(last: str) -> str:
  """What stands before a fraction, behind the `last` text: 5 1/2 is not 51/2."""
  return " " if last[-1:].isdigit() else ""


def is_exponent(element: etree._Element) -> bool:
  """Whether it stands above the line, and all of it is a number."""
  return (_behind(element) in ("msup", "msubsup") and not _holds_fraction(element)
          and raised(text := _of(element)) != text)


def before(element: etree._Element, last: str) -> str:
  """What is read before an element, behind the `last` piece of text."""
  if is_exponent(element):
    return ""
  gap = parted(last) if element.tag == "mfrac" else ""
  root = "√" if element.tag == "msqrt" else ""
  return "".join((_BETWEEN.get(_behind(element), ""), gap, root,
                  "(" if _needs_brackets(element) else ""))


def after(element: etree._Element) -> str:
  return ")" if _needs_brackets(element) and not is_exponent(element) else ""


def _needs_brackets(element: etree._Element) -> bool:
  """Whether it is a part of a fraction or root, or an exponent, and several things."""
  parent = element.getparent()
  is_part = element.tag == "msqrt" or bool(_behind(element)) or (
      parent is not None and parent.tag == "mfrac")
  return is_part and (_holds_fraction(element) or not is_single(_of(element)))


def _holds_fraction(element: etree._Element) -> bool:
  return next(element.iter("mfrac"), None) is not None


def _behind(element: etree._Element) -> str:
  """What it is the last part of, where a sign stands before that; may be empty."""
  parent = element.getparent()
  within = parent is not None and parent.tag in _BETWEEN and (
      element.getprevious() is not None and element.getnext() is None)
  return parent.tag if within else ""


def _of(element: etree._Element) -> str:
  return "".join(element.itertext())
