"""HTML as a document: what a reader of the page would read, its paragraphs kept."""

import re

from lxml import etree

from realm_tf.corpus.readers.text_file import decode, raised, without_title
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.wikitext.units import superscript

_CHARSET = re.compile(rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*"""
                      rb"""["']?\s*([\w.:-]+)""", re.IGNORECASE)
_CHARSET_WITHIN = 4096
# What pages mean by these names: the WHATWG standard on encodings.
_MEANT = {"iso-8859-1": "windows-1252", "latin1": "windows-1252", "ascii": "windows-1252",
          "us-ascii": "windows-1252", "gb2312": "gb18030", "gbk": "gb18030",
          "shift_jis": "cp932", "shift-jis": "cp932", "euc-kr": "cp949",
          "ks_c_5601-1987": "cp949", "utf-16": "utf-8", "utf-16le": "utf-8",
          "utf-16be": "utf-8", "iso-8859-9": "windows-1254", "x-sjis": "cp932"}

_UNREAD = frozenset("""
  script style noscript template head nav footer aside button select textarea svg iframe
  object audio video canvas map dialog rp rt del datalist annotation annotation-xml
""".split())
_PARAGRAPHS = frozenset("""
  p h1 h2 h3 h4 h5 h6 div section article main header body html blockquote pre ul ol dl
  table caption figure figcaption address details summary hr fieldset center
""".split())
_LINES = frozenset(("li", "dt", "dd", "tr", "br"))
_HIDING = re.compile(r"\b(display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_CELLS = frozenset(("td", "th"))
_PAGE = frozenset(("html", "body"))
_MATHS = {"mfrac": "/", "msup": "^"}  # between the two parts
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# They stand for what the tree says while a text is put together.
_PARAGRAPH, _LINE, _CELL, _SPACE, _BREAK = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
_OWN = re.compile(f"[{_PARAGRAPH}-{_BREAK}]")
_BREAKS = re.compile(f"[ {_CELL}]*([{_PARAGRAPH}{_LINE}][ {_PARAGRAPH}{_LINE}{_CELL}]*)")


def read_html(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text of a page.

  Raises:
    Unreadable: it is not in the encoding that it names, or in UTF-8 where it names none.
  """
  named = _CHARSET.search(data[:_CHARSET_WITHIN])
  charset = named.group(1).decode("ascii", "replace").lower() if named else "utf-8"
  title, text = from_text(decode(data, _MEANT.get(charset, charset)))
  return title, without_title(title, text)


def from_text(page: str) -> tuple[str, str]:
  """As `read_html`, of a page that is decoded; its text may begin with its title."""
  parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True,
                            remove_pis=True, no_network=True)
  try:
    root = etree.fromstring(_OWN.sub(" ", page).encode(), parser)
  except etree.XMLSyntaxError:  # of nothing at all
    root = None
  if any("RESOURCE_LIMIT" in entry.type_name for entry in parser.error_log):
    raise Unreadable("nested too deep")  # what is below 2048 elements is lost
  if root is None:
    return "", ""
  texts = [_text(element) for element in _main_parts(root)]
  text = "\n\n".join(filter(None, texts)) or _text(root)
  return _title(root), text


def _main_parts(root: etree._Element) -> list[etree._Element]:
  """The element that says that it holds the content, if there is one."""
  elements = root.xpath("(//main | //*[@role='main'])[1]")
  if not isinstance(elements, list):
    raise Unreadable("damaged")
  return elements


def _title(root: etree._Element) -> str:
  for name in ("title", *_HEADINGS):
    for element in root.iter(name):
      parent = element.getparent()
      if parent is not None and parent.tag == "svg":  # the name of a picture
        continue
      if title := " ".join(_text(element).split()):
        return title
  return ""


def _text(top: etree._Element) -> str:
  """The text below an element, without recursion: pages nest deep."""
  pieces: list[str] = []
  unread = pre = power = 0
  for event, element in etree.iterwalk(top, events=("start", "end")):
    name, begins = element.tag, 1 if event == "start" else -1
    unread += begins * _is_hidden(element)
    pre += begins * (name == "pre")
    power += begins * _is_power(element)
    if unread:
      continue
    if event == "start":
      pieces += _before(element), _spaced(element.text, pre, power)
      continue
    pieces.append(_PARAGRAPH if name in _PARAGRAPHS else "")
    if element is not top:
      pieces.append(_spaced(element.tail, pre, power))
  return _laid_out("".join(pieces))


def _is_hidden(element: etree._Element) -> bool:
  """Whether nobody reads it. A page that is hidden as a whole is shown by a script."""
  return element.tag in _UNREAD or (element.tag not in _PAGE and (
      "hidden" in element.attrib or bool(_HIDING.search(element.get("style", "")))))


def _is_power(element: etree._Element) -> bool:
  """Whether it stands above the line, and all of it is a number."""
  if element.tag != "sup" and _is_second_of(element) != "msup":
    return False
  text = "".join(element.itertext())
  return raised(text) != text


def _is_second_of(element: etree._Element) -> str:
  """What of MathML it is the second part of; may be empty."""
  parent = element.getparent()
  within = parent is not None and parent.tag in _MATHS and element.getprevious() is not None
  return parent.tag if within else ""


def _before(element: etree._Element) -> str:
  if sign := _MATHS.get(_is_second_of(element)):  # 1/2 is not 12
    return "" if _is_power(element) else sign
  name = element.tag
  return (_PARAGRAPH if name in _PARAGRAPHS else _LINE if name in _LINES
          else _CELL if name in _CELLS else "")


def _spaced(text: str | None, pre: int, power: int) -> str:
  """White space as it is read: one space, but in <pre> all of it; a power is raised."""
  if not text:
    return ""
  text = superscript(text) if power else text
  if pre:
    return text.replace("\n", _BREAK).replace(" ", _SPACE).replace("\t", _SPACE)
  return re.sub(r"[ \t\n\r\f]+", " ", text)


def _laid_out(marked: str) -> str:
  """Paragraphs with a blank line between them, lines, and cells between bars."""
  text = re.sub(" +", " ", marked)
  text = _BREAKS.sub(
      lambda match: "\n\n" if _PARAGRAPH in match.group() else "\n", text)
  text = re.sub(f" *{_CELL}[ {_CELL}]*", " | ", text)
  text = re.sub(r"\n(?: \|)? ", "\n", text)
  return text.replace(_BREAK, "\n").replace(_SPACE, " ").strip().removeprefix("| ")
