"""What stands above and below the line in HTML: 10<sup>6.5</sup> is not 106.5."""

import re
from collections.abc import Callable

from lxml import etree

from realm_tf.corpus.small_figures import (
  is_exponent,
  is_single,
  raised,
  subscript,
  superscript,
  variables,
)

_CHARGE = re.compile(r"\d*[+−-]")
_VARIABLES = ("i", "em", "var")


def script(element: etree._Element, last: str) -> Callable[[str], str] | None:
  """How figures of <sup> and <sub> are drawn, behind the `last` piece of text.

  Those below the line only where they would be part of a number: log₂8, but H2O.
  """
  text = "".join(element.itertext()).strip()
  if element.tag == "sup":
    is_power = raised(text) != text and not is_numerator(element) and not _nests(element)
    is_charge = bool(_CHARGE.fullmatch(text)) and last[-1:].isdigit()
    return superscript if is_power or is_charge else None
  return subscript if text.isdecimal() and not element.getchildren() and (
      last[-1:].isdigit() or (element.tail or "")[:1].isdigit()) and not (
          last.endswith(("/", "⁄"))) else None


def mark(element: etree._Element, last: str) -> str:
  """What stands before an exponent that small figures cannot show: ^ or ^( or nothing."""
  text = "".join(element.itertext()).strip()
  if not (last[-1:].isalnum() or last[-1:] in tuple(")]")) or is_numerator(element):
    return ""
  if _nests(element):
    return "^(" if raised(text) != text or is_exponent(text) else ""
  child = next(iter(element), None)
  if child is not None and child.tag in _VARIABLES and raised(text) == text and (
      shown := variables(text)):
    return shown.partition(text)[0]
  if is_exponent(text) and is_single(text):
    return "^"
  return "^(" if is_exponent(text) else ""


def is_numerator(element: etree._Element) -> bool:
  """Whether something below the line follows a stroke: 5<sup>1</sup>/<sub>2</sub>."""
  following = element.getnext()
  return (following is not None and following.tag == "sub"
          and (element.tail or "").strip() in ("/", "⁄"))


def _nests(element: etree._Element) -> bool:
  return element.find(".//sup") is not None
