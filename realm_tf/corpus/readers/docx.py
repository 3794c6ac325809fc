"""Word's .docx as a document: paragraphs, tables, notes; title from properties or heading."""

import io
import re
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml import parse_xml
from docx.oxml.ns import qn
from lxml import etree

from realm_tf.corpus.readers.text_file import raised, without_title
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.wikitext.units import superscript

_MOST_BYTES = 1 << 28  # unpacked
_OLE = b"\xd0\xcf\x11\xe0"  # in which Word wraps what it encrypts
_BREAKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-",
           qn("m:den"): "/"}  # m: formulas
_ENDS = {qn("w:p"): "\n\n", qn("w:tr"): "\n\n", qn("w:tc"): " | "}
_SHOWN = (qn("w:t"), qn("m:t"))
_POWER = qn("m:sup")
# What was moved from here, and a second rendering for programs that do not know the first.
_SKIPPED = ("moveFrom", "Fallback")


def read_docx(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text.

  Raises:
    Unreadable: damaged, encrypted, or a bomb.
  """
  if data.startswith(_OLE):
    raise Unreadable("encrypted", "or of an old Word")
  try:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
      if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
        raise Unreadable(f"larger than {_MOST_BYTES >> 20} MiB unpacked")
    document = docx.Document(io.BytesIO(data))
  except (zipfile.BadZipFile, PackageNotFoundError, KeyError, ValueError) as error:
    raise Unreadable("damaged", str(error)[:200]) from None
  title, text = _title(document), _text(document.element.body)
  return title, "\n\n".join([without_title(title, text), *_notes(document)]).strip()


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
        for note in parse_xml(relation.target_part.blob).iter(qn(f"w:{kind}")):
          if note.get(qn("w:type"), "normal") == "normal" and (text := _text(note)):
            yield text


def _shown(element: etree._Element) -> str:
  """The text of a run, or of a part of it."""
  text, run = element.text or "", element.getparent()
  if run is None:
    return text
  hides, mark = (run.find(f"{qn('w:rPr')}/{qn(name)}") for name in ("w:vanish",
                                                                    "w:vertAlign"))
  if hides is not None and hides.get(qn("w:val"), "1") not in ("0", "false", "off"):
    return ""
  above = mark is not None and mark.get(qn("w:val")) == "superscript"
  return superscript(text) if _is_power(run.getparent()) else raised(text) if above else text


def _is_power(element: etree._Element | None) -> bool:
  """Whether a part of a formula stands above the line, and is a number."""
  text = "".join(element.itertext()) if element is not None and element.tag == _POWER else ""
  return raised(text) != text


def _before(element: etree._Element) -> str:
  if element.tag == _POWER:
    return "" if _is_power(element) else "^"
  return _shown(element) if element.tag in _SHOWN else _BREAKS.get(element.tag, "")


def _text(body: etree._Element) -> str:
  """All that is shown: python-docx passes over insertions, text boxes and controls."""
  pieces: list[str] = []
  cells = 0
  walk = etree.iterwalk(body, events=("start", "end"))
  for event, element in walk:
    if event == "start":
      if etree.QName(element).localname in _SKIPPED:
        walk.skip_subtree()
      cells += element.tag == qn("w:tc")
      pieces.append(_before(element))
    elif element.tag in _ENDS:
      cells -= element.tag == qn("w:tc")
      pieces.append(" " if cells and element.tag == qn("w:p") else _ENDS[element.tag])
  text = re.sub(r" +", " ", "".join(pieces))
  text = re.sub(r"(?: ?\| ?)+(?=\n\n)", "", text)  # behind the last cell
  return re.sub(r"\s*\n\s*\n\s*", "\n\n", text).strip()
