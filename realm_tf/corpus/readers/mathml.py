"""Formulas of MathML in a line of text: (a+b)/2, 5 1/2, √(x+1), x^(n-1)."""

import re
from collections.abc import Callable

from lxml import etree

from realm_tf.corpus.small_figures import raised, subscript, superscript

# What stands between two parts of these.
_BETWEEN = {"mfrac": "/", "msup": "^", "mroot": "^1/", "msubsup": "^", "munderover": "^",
            "munder": "_"}
# What stands before a part of these that is not the first: rows, and what is in brackets.
_LISTED = {"mtable": "; ", "mtr": ", ", "mlabeledtr": ", ", "mfenced": ", "}
_WITH_EXPONENT = ("msup", "msubsup", "munderover")
_WITH_INDEX = ("msub", "msubsup")
OF_PARTS = frozenset((*_BETWEEN, *_LISTED, "msub"))
FIRST = frozenset(("mfrac", "msqrt", "mfenced"))  # before which a sign or a space may stand
_SINGLE = re.compile(r"[\w.,√]*|\([^()]*\)|\[[^\[\]]*\]")


def is_single(text: str) -> bool:
  """Whether a text is one thing, which needs no brackets to be part of a fraction."""
  return bool(_SINGLE.fullmatch("".join(text.split())))


def is_single_exponent(text: str) -> bool:
  """The same of an exponent: behind x^2 a k would be no part of that."""
  return is_single(text) and (text.isalpha() or not any(map(str.isalpha, text)))


def parted(last: str) -> str:
  """What stands before a fraction, behind the `last` text: 5 1/2 is not 51/2."""
  return " " if last[-1:].isdigit() else ""


def is_exponent(element: etree._Element) -> bool:
  """Whether it stands above the line, and all of it is a number."""
  return (_behind(element) in _WITH_EXPONENT
          and not _nests(element) and raised(text := _of(element)) != text)


def script(element: etree._Element, last: str) -> Callable[[str], str] | None:
  """How its figures are drawn, where they stand above or below the line."""
  del last
  if is_exponent(element):
    return superscript
  parent, text = element.getparent(), _of(element).strip()
  is_index = (parent is not None and parent.tag in _WITH_INDEX
              and parent.index(element) == 1 and text.isdecimal())
  return subscript if is_index else None


def before(element: etree._Element, last: str) -> str:
  """What is read before an element, behind the `last` piece of text."""
  if is_exponent(element):
    return ""
  gap = parted(last) if element.tag == "mfrac" else ""
  sign = {"msqrt": "√", "mfenced": element.get("open", "(")}.get(element.tag, "")
  return "".join((_between(element), gap, sign, "(" if _needs_brackets(element) else ""))


def after(element: etree._Element) -> str:
  end = element.get("close", ")") if element.tag == "mfenced" else ""
  return end + (")" if _needs_brackets(element) and not is_exponent(element) else "")


def _between(element: etree._Element) -> str:
  """What stands between it and the part before it."""
  parent = element.getparent()
  if parent is not None and parent.tag in _LISTED and element.getprevious() is not None:
    return _LISTED[parent.tag]
  behind = _behind(element)
  if behind == "mfrac" and parent is not None and (
      re.fullmatch(r"0(\.0*)?[a-z%]*", parent.get("linethickness", ""))):
    return " choose "  # nothing is drawn between 5 and 2: it is no fraction
  return _BETWEEN.get(behind, "")


def _needs_brackets(element: etree._Element) -> bool:
  """Whether it is a part of a fraction or root, or an exponent, and several things."""
  parent = element.getparent()
  is_part = element.tag == "msqrt" or bool(_behind(element)) or (
      parent is not None and parent.tag == "mfrac")
  if _behind(element) in _WITH_EXPONENT:
    return _nests(element) or not is_single_exponent(_of(element))
  return is_part and (_holds_fraction(element) or not is_single(_of(element)))


def _holds_fraction(element: etree._Element) -> bool:
  return next(element.iter("mfrac"), None) is not None


def _nests(element: etree._Element) -> bool:
  """Whether there are exponents, fractions and the like in it: 10⁶, above 10, is not 106."""
  return next(element.iter(*OF_PARTS), None) is not None


def _behind(element: etree._Element) -> str:
  """What it is the last part of, where a sign stands before that; may be empty."""
  parent = element.getparent()
  within = parent is not None and parent.tag in _BETWEEN and (
      element.getprevious() is not None and element.getnext() is None)
  return parent.tag if within else ""


def _of(element: etree._Element) -> str:
  return "".join(element.itertext())
