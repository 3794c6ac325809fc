"""Runs of Word above and below the line: 10 to the power of 6.5 is 10^6.5, and not 106.5."""

import re
from collections.abc import Iterator

from docx.document import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from lxml import etree

from realm_tf.corpus.small_figures import (
  is_exponent,
  is_single,
  raised,
  subscript,
  superscript,
)

_MARK = f"{qn('w:rPr')}/{qn('w:vertAlign')}"
_POSITION = f"{qn('w:rPr')}/{qn('w:position')}"
_STYLE = f"{qn('w:rPr')}/{qn('w:rStyle')}"
_MARKS = frozenset(map(qn, ("w:proofErr", "w:bookmarkStart", "w:bookmarkEnd",
                            "w:commentRangeStart", "w:commentRangeEnd")))
_CHARGE = re.compile(r"\d*[+−-]")
_ABOVE, _BELOW = "superscript", "subscript"


def mark_by_style(document: Document, part: etree._Element) -> None:
  """Gives runs of a part, body or notes, whose style puts them above or below the line the
  mark that says so."""
  marks = {style.style_id: mark.get(qn("w:val")) for style in document.styles
           if (mark := style.element.find(_MARK)) is not None}
  if not marks:
    return
  for run in part.iter(qn("w:r")):
    style = run.find(_STYLE)
    if style is not None and run.find(_MARK) is None and style.get(qn("w:val")) in marks:
      mark = OxmlElement("w:vertAlign")
      mark.set(qn("w:val"), marks[style.get(qn("w:val"))])
      run.find(qn("w:rPr")).append(mark)


def drawn(text: str, run: etree._Element) -> str:
  """The text of a run, or a part of it, as it is read where the run stands."""
  side = _side(run)
  if side == _ABOVE:
    return _above(text, run)
  if side == _BELOW and text.isdecimal():  # log₂8, but H2O
    before, behind = _said(_next(run, forward=False)), _said(_next(run))
    is_part = before[-1:].isdigit() or behind[:1].isdigit()
    return subscript(text) if is_part and not before.endswith(("/", "⁄")) else text
  return text


def _above(text: str, run: etree._Element) -> str:
  group = _group(run)
  whole = "".join(map(_said, group)).strip()
  base, behind = _said(_next(group[0], forward=False)), _next(group[-1])
  if _said(behind).strip() in ("/", "⁄") and behind is not None and (
      _side(_next(behind)) == _BELOW):
    gap = " " if run is group[0] and base[-1:].isdigit() else ""
    return gap + text  # 5 1/2
  if raised(whole) != whole or (_CHARGE.fullmatch(whole) and base[-1:].isdigit()):
    return superscript(text)
  if not is_exponent(whole) or not (base[-1:].isalnum() or base.endswith((")", "]"))):
    return text
  first, last = ("^", "") if is_single(whole) else ("^(", ")")
  return (first if run is group[0] else "") + text + (last if run is group[-1] else "")


def _side(run: etree._Element | None) -> str:
  """Above or below the line, or neither."""
  if run is None or run.tag != qn("w:r"):
    return ""
  mark, position = run.find(_MARK), run.find(_POSITION)
  if mark is not None:
    return mark.get(qn("w:val"), "")
  raises = position.get(qn("w:val"), "") if position is not None else ""
  return (_ABOVE if re.fullmatch("[1-9][0-9]*", raises) else
          _BELOW if re.fullmatch("-[1-9][0-9]*", raises) else "")


def _group(run: etree._Element) -> list[etree._Element]:
  """The runs beside it that stand above the line, too, in their order."""
  before = list(_beside(run, forward=False))
  return [*reversed(before), run, *_beside(run, forward=True)]


def _beside(run: etree._Element, forward: bool) -> Iterator[etree._Element]:
  other = _next(run, forward)
  while other is not None and _side(other) == _ABOVE:
    yield other
    other = _next(other, forward)


def _next(run: etree._Element, forward: bool = True) -> etree._Element | None:
  """The run beside it, past marks of spelling and the like."""
  other = run.getnext() if forward else run.getprevious()
  while other is not None and other.tag in _MARKS:
    other = other.getnext() if forward else other.getprevious()
  return other


def _said(run: etree._Element | None) -> str:
  return "" if run is None else "".join(part.text or "" for part in run.iter(qn("w:t")))
