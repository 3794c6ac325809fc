"""Word's .docx as a document: paragraphs, tables, notes; title from properties or heading."""

import io
import re
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml import parse_xml
from docx.oxml.ns import nsmap, qn
from lxml import etree

from realm_tf.corpus.readers.closed_lines import closed, with_closed_items
from realm_tf.corpus.readers.docx_fields import settle_fields
from realm_tf.corpus.readers.docx_scripts import drawn, mark_by_style
from realm_tf.corpus.readers.docx_tables import settle_tables
from realm_tf.corpus.readers.gaps import GAP, is_gap
from realm_tf.corpus.readers.mathml import is_single, is_single_exponent, parted
from realm_tf.corpus.readers.office import open_package
from realm_tf.corpus.readers.symbols import symbol, without_codes
from realm_tf.corpus.readers.text_file import without_title
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.small_figures import raised, subscript, superscript

# What the other edition of the standard, "Strict Open XML", calls the same.
_STRICT = re.compile(rb"http[:]//purl\.oclc\.org/ooxml/(\w+)/(\w+)")
_NAMES = nsmap["w"].partition("wordprocessingml")[0].encode()  # all names begin so
_BEFORE = {qn("w:tab"): "\t", qn("w:ptab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n",
           qn("w:noBreakHyphen"): "-", qn("w:txbxContent"): "\n\n",
           qn("m:den"): "/", qn("m:sup"): "^", qn("m:lim"): "_"}  # m: formulas
_ROW = "\x1e"  # where one ends; XML cannot hold it
_ITEM = "\x1f"  # likewise
_ENDS = {qn("w:tr"): f"{_ROW}\n", qn("w:tc"): " | "}
_PARTED = (qn("w:txbxContent"), qn("w:tbl"))
_OF_CONTENTS = re.compile("TOC([1-9]|Heading)")  # styles that Word gives them
_SHOWN = (qn("w:t"), qn("m:t"))
_POWERS = (qn("m:sup"), qn("m:deg"))
_OF_PARTS = tuple(map(qn, ("m:f", "m:sSup", "m:sSub", "m:sSubSup", "m:sPre", "m:rad")))
_PARTS = (qn("m:num"), qn("m:den"), qn("m:sup"), qn("m:lim"))
# What stands between parts of these: rows of a matrix, its cells, equations.
_BETWEEN = {qn("m:m"): "; ", qn("m:mr"): ", ", qn("m:eqArr"): "; "}
# What was deleted or moved from here, what tells how a word sounds, and a second rendering
# for programs that do not know the first.
_SKIPPED = ("del", "moveFrom", "rt", "Fallback")


def read_docx(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text.

  Raises:
    Unreadable: damaged, encrypted, or a bomb.
  """
  try:
    with open_package(data, "Word") as archive:
      data = _transitional(archive) or data
    document = docx.Document(io.BytesIO(data))
  except (zipfile.BadZipFile, PackageNotFoundError, KeyError, ValueError) as error:
    raise Unreadable("damaged", str(error)[:200]) from None
  _prepare(document, document.element.body)
  title, text = _title(document), _text(document.element.body)
  return title, "\n\n".join([without_title(title, text), *_notes(document)]).strip()


def _transitional(archive: zipfile.ZipFile) -> bytes:
  """The same in the names that python-docx knows; empty where it has these already."""
  if not _STRICT.search(archive.read("_rels/.rels")):
    return b""
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as new:
    for name in archive.namelist():
      part = archive.read(name)
      new.writestr(name, part if not name.endswith((".xml", ".rels")) else _STRICT.sub(
          _NAMES + rb"\1/2006/\2", part))
  return file.getvalue()


def _prepare(document: Document, part: etree._Element) -> None:
  """Puts into a part what styles and fields say of its runs, and spans of its cells."""
  mark_by_style(document, part)
  settle_fields(part, _SKIPPED)
  settle_tables(part)


def _title(document: Document) -> str:
  title = " ".join((document.core_properties.title or "").split())
  if title and title != "Word Document":  # what python-docx writes itself
    return title
  for paragraph in document.paragraphs:
    style = (paragraph.style.name if paragraph.style else None) or ""
    if re.fullmatch(r"Title|Heading \d", style) and paragraph.text.strip():
      return " ".join(paragraph.text.split())
  return ""


def _notes(document: Document) -> Iterator[str]:
  """The footnotes, then the endnotes, less the lines that Word draws above them."""
  for kind in ("footnote", "endnote"):
    for relation in document.part.rels.values():
      if not relation.is_external and relation.reltype.endswith(f"/{kind}s"):
        notes = parse_xml(relation.target_part.blob)
        _prepare(document, notes)
        for note in notes.iter(qn(f"w:{kind}")):
          if note.get(qn("w:type"), "normal") == "normal" and (text := _text(note)):
            yield text


def _shown(element: etree._Element) -> str:
  """The text of a run, or of a part of it."""
  text, run = element.text or "", element.getparent()
  if run is None:
    return text
  hides, font = (run.find(f"{qn('w:rPr')}/{qn(name)}") for name in (
      "w:vanish", "w:rFonts"))
  if hides is not None and _is_on(hides):
    return ""
  if font is not None:
    text = without_codes(text, font.get(qn("w:ascii"), ""))
  if _is_power(run.getparent()):
    return superscript(text)
  return subscript(text) if _is_index(run.getparent()) else drawn(text, run)


def _is_on(mark: etree._Element) -> bool:
  return mark.get(qn("w:val"), "1") not in ("0", "false", "off")


def _is_power(element: etree._Element | None) -> bool:
  """Whether a part of a formula stands above the line, and is a number."""
  if element is None or element.tag not in _POWERS or _nests(element):
    return False
  return raised(text := "".join(element.itertext())) != text


def _is_index(element: etree._Element | None) -> bool:
  return element is not None and element.tag == qn("m:sub") and (
      "".join(element.itertext()).strip().isdecimal())


def _between(element: etree._Element) -> str:
  """What stands between a part of a formula and the one before it."""
  parent, before = element.getparent(), element.getprevious()
  if parent is None or before is None or before.tag != element.tag:
    return ""
  return _sign(parent, "sepChr", "|") if parent.tag == qn("m:d") else _BETWEEN.get(
      parent.tag, "")


def _is_choice(element: etree._Element) -> bool:
  """Whether it stands below something without a stroke between: 10 over 3, in brackets."""
  parent = element.getparent()
  return element.tag == qn("m:den") and parent is not None and (
      _sign(parent, "type", "") == "noBar")


def _nests(element: etree._Element, *tags: str) -> bool:
  """Whether a part of a formula holds one of those, or of all that have parts."""
  return next(element.iter(*(tags or _OF_PARTS)), None) is not None


def _is_group(element: etree._Element) -> bool:
  """Whether it is a part of a fraction or root, or an exponent, that needs brackets."""
  parent = element.getparent()
  is_part = element.tag in _PARTS or (
      element.tag == qn("m:e") and parent is not None and parent.tag == qn("m:rad"))
  if not is_part or _is_power(element):
    return False
  text = "".join(element.itertext())
  if element.tag == qn("m:sup"):
    return _nests(element) or not is_single_exponent(text)
  return _nests(element, qn("m:f")) or not is_single(text)


def _sign(formula: etree._Element, name: str, default: str) -> str:
  """The sign that a part of a formula is drawn with, where its properties name another."""
  sign = formula.find(f"{formula.tag}Pr/{qn(f'm:{name}')}")
  return default if sign is None else sign.get(qn("m:val"), "")


def _before(element: etree._Element, last: str) -> str:
  """What is read before it, behind the `last` piece of text."""
  tag = element.tag
  if tag in _SHOWN:
    return _shown(element)
  if tag == qn("w:tc"):
    merged = element.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}") is not None  # with that above
    return GAP if not merged and is_gap(element, qn("w:tr"), (tag,)) else ""
  if tag == qn("w:sym"):
    code = element.get(qn("w:char"), "")
    return symbol(element.get(qn("w:font"), ""), int(code, 16)) if re.fullmatch(
        "[0-9a-fA-F]{1,5}", code) else ""
  if tag == qn("m:d"):
    return _sign(element, "begChr", "(")
  if tag == qn("m:nary"):
    return _sign(element, "chr", "∫")
  if tag == qn("m:f"):
    return parted(last)
  if _is_power(element):
    return ""
  parent = element.getparent()
  root = "√" if tag == qn("m:e") and parent is not None and parent.tag == qn("m:rad") else ""
  sign = " choose " if _is_choice(element) else _BEFORE.get(tag, root)
  return _between(element) + sign + ("(" if _is_group(element) else "")


def _after(element: etree._Element, cells: int) -> str:
  """What stands behind; `cells`: in how many cells of tables."""
  tag = element.tag
  if tag == qn("m:d"):
    return _sign(element, "endChr", ")")
  if tag in _PARTS or tag == qn("m:e"):
    return ")" if _is_group(element) else ""
  if tag == qn("w:p"):
    if element.find(f"{qn('w:pPr')}/{qn('w:rPr')}/{qn('w:del')}") is not None:
      return ""  # its end was deleted
    return " " if cells else f"{_ITEM * _is_item(element)}\n\n"
  if tag == qn("w:tr") and cells:
    return " "
  return "\n\n" if tag in _PARTED and not cells else _ENDS.get(tag, "")


def _is_item(paragraph: etree._Element) -> bool:
  """Whether it is one of a list, by itself or by its style; headings may have numbers too."""
  style = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
  name = "" if style is None else style.get(qn("w:val"), "")
  return name.startswith("List") or not name.startswith(("Heading", "Title")) and (
      paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None)


def _is_unread(element: etree._Element) -> bool:
  """Whether it is a table of contents, of which Word writes the lines, or a deleted row."""
  if element.tag == qn("w:tr"):
    return element.find(f"{qn('w:trPr')}/{qn('w:del')}") is not None
  if element.tag == qn("w:sdt"):
    gallery = element.find("/".join(map(qn, ("w:sdtPr", "w:docPartObj", "w:docPartGallery"))))
    return gallery is not None and gallery.get(qn("w:val")) == "Table of Contents"
  style = element.find(f"{qn('w:pPr')}/{qn('w:pStyle')}") if (
      element.tag == qn("w:p")) else None
  return style is not None and bool(_OF_CONTENTS.fullmatch(style.get(qn("w:val"), "")))


def _text(body: etree._Element) -> str:
  """All that is shown: python-docx passes over insertions, text boxes and controls."""
  pieces: list[str] = []
  cells, last = 0, ""  # the last piece that is not empty
  hidden: etree._Element | None = None
  walk = etree.iterwalk(body, events=("start", "end"))
  for event, element in walk:
    if event == "start":
      if etree.QName(element).localname in _SKIPPED or _is_unread(element):
        walk.skip_subtree()
        hidden = element
        continue
      cells += element.tag == qn("w:tc")
      before = _before(element, last)
      pieces.append(" " if cells and before == "\n" else before)  # a row is a line
      last = pieces[-1] or last
      continue
    if element is hidden:
      continue
    cells -= element.tag == qn("w:tc")
    if element.tag == qn("w:tr") and cells and pieces[-1] == _ENDS[qn("w:tc")]:
      pieces.pop()  # of a table in a cell
    pieces.append(_after(element, cells))
    last = pieces[-1] or last
  text = re.sub(r" +", " ", "".join(pieces).replace("\xad", ""))
  text = re.sub(rf"(?: ?\| ?)+(?={_ROW}|\n\n)", "", text)  # behind the last cell
  text = re.sub(rf"(?m)^ *{_ROW}\n *", "", text)  # rows that say nothing
  text = re.sub(rf"([^\n]* \| [^\n]*){_ROW}", lambda row: f"{closed(row[1])}{_ROW}", text)
  text = re.sub(rf" *{_ROW}(\n?) *", r"\1", text)
  text = re.sub(rf"([^\n]*){_ITEM}", lambda item: closed(item[1]), text)
  return with_closed_items(re.sub(r"\s*\n\s*\n\s*", "\n\n", text).strip())
