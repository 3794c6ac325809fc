"""Word's fields: what stands in their code is not read, but of EQ, which has no result.

Word draws { EQ \\f(1,2) } itself whenever it opens the document: 1/2 stands nowhere in it.
"""

import dataclasses
import re
from collections.abc import Iterable

from docx.oxml.ns import qn
from lxml import etree

from realm_tf.corpus.readers.mathml import is_single, parted
from realm_tf.corpus.small_figures import exponent, subscript, superscript

_CODE, _TEXT = qn("w:instrText"), qn("w:t")
_MOST_CHARACTERS = 1000  # of a formula
_BRACKETS = str.maketrans("()", "\ue000\ue001")  # that are none of a command
_OF_TEXT = str.maketrans("\ue000\ue001\ue002\ue003", "(),;")
_ESCAPED = re.compile(r"\\([(),;])")
_OPTION = re.compile(r"""\\\*\s*(?:"[^"]*"|[^\s\\(]+)""")  # \* hps10, \* "Font:Arial"
# A command with its options, and the innermost of what it holds.
_PART = re.compile(r"((?:\\[a-z]+\s*\d*\s*)*)\(([^()]*)\)", re.IGNORECASE)
_RAISED = re.compile("\ue004([^\ue004\ue005]*)\ue005")
_COMMAND = re.compile(r"\\[a-z]+\s*\d*", re.IGNORECASE)
_SIGNS = {"su": "∑", "pr": "∏", "in": "∫"}


@dataclasses.dataclass
class _Field:
  """A field that is open; `before` is the text before it."""
  before: str
  code: str = ""
  is_in_code: bool = True
  texts: list[etree._Element] = dataclasses.field(default_factory=list)  # in its code
  place: etree._Element | None = None  # the last of its code


def settle_fields(part: etree._Element, skipped: Iterable[str]) -> None:
  """Takes texts out of the code of fields, and puts in what EQ shows.

  A field that does not end takes nothing with it.

  Args:
    part: the body of a document, or its notes.
    skipped: local names of the elements of which nothing is read.
  """
  fields: list[_Field] = []
  last, skipped = "", tuple(skipped)
  walk = etree.iterwalk(part, events=("start",))
  for _, element in walk:
    tag = element.tag
    if etree.QName(element).localname in skipped:
      walk.skip_subtree()
    elif tag == qn("w:fldChar"):
      kind = element.get(qn("w:fldCharType"), "")
      if kind == "begin":
        fields.append(_Field(last))
      elif kind == "separate" and fields:
        fields[-1].is_in_code = False
      elif kind == "end" and fields:
        last = _end(fields.pop(), fields) or last
    elif tag in (_CODE, _TEXT) and element.text:
      hiding = [field for field in fields if field.is_in_code]
      for field in hiding[-1:]:
        field.code += element.text
        field.place = element
      for field in hiding if tag == _TEXT else []:
        field.texts.append(element)
      last = last if hiding else element.text


def _end(field: _Field, around: list[_Field]) -> str:
  """Settles a field; gives what it shows where Word has not written it."""
  for text in field.texts:
    text.text = ""
  place = field.place
  match = re.match(r"\s*EQ\b", field.code, re.IGNORECASE)
  if not field.is_in_code or match is None or place is None or (
      len(field.code) > _MOST_CHARACTERS):
    return ""
  shown = _drawn(field.code[match.end():])
  gap = parted(field.before) if re.match(r"[\d.,]+/|[²³¹⁰-⁹]+√", shown) else ""
  outer = [outer for outer in around if outer.is_in_code]
  for other in outer:
    other.texts.append(place)
  for other in outer[-1:]:
    other.code += shown
    other.place = place
  place.tag = _TEXT
  place.text = gap + shown
  return shown


def _drawn(code: str) -> str:
  """What EQ draws, in a line: \\f(1,2) is 1/2, x\\s\\up5(2) x²."""
  text = _OPTION.sub("", code)
  text = _ESCAPED.sub(lambda match: chr(0xE000 + "(),;".index(match[1])), text)
  while match := _PART.search(text):
    commands = _COMMAND.findall(match[1])
    if commands:
      shown = _shown([command[1:].lower().strip() for command in commands],
                     [part.strip() for part in match[2].split(
                         ";" if ";" in match[2] else ",")])  # 3,5;2 where commas are points
    else:
      shown = match[0].replace(",", "\ue002").replace(";", "\ue003").translate(_BRACKETS)
    text = text[:match.start()] + shown + text[match.end():]
  if "(" in text or ")" in text:
    return ""  # Word draws nothing of what does not end
  text = _RAISED.sub(lambda match: exponent(match[1]), _COMMAND.sub("", text))
  return " ".join(text.translate(_OF_TEXT).split())


def _shown(commands: list[str], parts: list[str]) -> str:
  """What a command shows, of which the first is its name."""
  name, options = commands[0], [re.sub(r"\s*\d+$", "", one) for one in commands[1:]]
  if name == "f" and len(parts) == 2:
    return "/".join(map(_whole, parts))
  if name == "r":
    return superscript(parts[0] if parts[1:] else "") + f"√{_whole(parts[-1])}"
  if name == "s":
    text = ", ".join(parts)
    return subscript(text) if "do" in options else f"\ue004{text}\ue005"
  if name == "o":  # what is drawn above a word tells how it sounds
    return "".join(part for part in parts if not part.startswith("\ue004"))
  if name == "b":
    return f"({', '.join(parts)})".translate(_BRACKETS)
  if name == "i" and len(parts) == 3:
    sign = next((_SIGNS[one] for one in options if one in _SIGNS), "∫")
    return f"{sign}_{_whole(parts[0])}^{_whole(parts[1])} {parts[2]}"
  return "" if name == "d" else ", ".join(parts)


def _whole(text: str) -> str:
  """In brackets, unless it is one thing."""
  if is_single(_RAISED.sub("x", text).translate(_OF_TEXT)):
    return text
  return f"({text})".translate(_BRACKETS)
