"""HTML as a document: what a reader of the page would read, its paragraphs kept."""

import html
import re

from lxml import etree

from realm_tf.corpus.readers import mathml
from realm_tf.corpus.readers.text_file import decode, without_title
from realm_tf.corpus.readers.unread import is_unread
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.wikitext.powers import raised
from realm_tf.corpus.wikitext.units import superscript

_CHARSET = re.compile(rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*"""
                      rb"""["']?\s*([\w.:-]+)""", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_CHARSET_WITHIN = 4096
# What pages mean by these names: the WHATWG standard on encodings.
_MEANT = {"iso-8859-1": "windows-1252", "latin1": "windows-1252", "ascii": "windows-1252",
          "us-ascii": "windows-1252", "gb2312": "gb18030", "gbk": "gb18030",
          "shift_jis": "cp932", "shift-jis": "cp932", "euc-kr": "cp949",
          "ks_c_5601-1987": "cp949", "utf-16": "utf-8", "utf-16le": "utf-8",
          "utf-16be": "utf-8", "iso-8859-9": "windows-1254", "x-sjis": "cp932"}

_PARAGRAPHS = frozenset("""
  p h1 h2 h3 h4 h5 h6 div section article main header body html blockquote pre ul ol dl
  table caption figure figcaption address details summary hr fieldset center form hgroup
  legend menu dir search listing xmp
""".split())
_LINES = frozenset(("li", "dt", "dd", "tr", "br", "option"))
_AS_WRITTEN = frozenset(("pre", "listing", "xmp"))
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_CELLS = frozenset(("td", "th"))
# What a cell that is a value holds at most, and what it does not hold.
_MOST_OF_CELL, _MOST_PARTS, _LAID_OUT = 200, 50, frozenset((*_HEADINGS, "table", "pre"))
_SIGNED = mathml.FIRST | {"q", "sup"}
_QUOTES = ("“", "”"), ("‘", "’")  # those in quotes are single
_MOST_MAINS = 100  # that are looked at
# They stand for what the tree says while a text is put together.
_PARAGRAPH, _LINE, _CELL, _SPACE, _BREAK = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
_MARKS = (dict.fromkeys(_PARAGRAPHS, _PARAGRAPH) | dict.fromkeys(_LINES, _LINE)
          | dict.fromkeys(_CELLS, _CELL))
# A soft hyphen says where a word may break, and is no part of it.
_SITE = re.compile(r" (?:[-–—|•·»›/]|::|\|\|) \S")  # "Page - Site"
_WHITE: dict[int, str | None] = {**dict.fromkeys(map(ord, "\t\n\r\f"), " "), 0xAD: None}
_OWN = re.compile(f"[{_PARAGRAPH}-{_BREAK}]")
_END = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_BREAKS = re.compile(f"[ {_CELL}]*([{_PARAGRAPH}{_LINE}][ {_PARAGRAPH}{_LINE}{_CELL}]*)")


def read_html(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text of a page.

  Raises:
    Unreadable: it is not in the encoding that it names, or in UTF-8 where it names none.
  """
  named = _CHARSET.search(_COMMENT.sub(b"", data[:_CHARSET_WITHIN]))
  charset = named.group(1).decode("ascii", "replace").lower() if named else "utf-8"
  title, text = from_text(decode(data, _MEANT.get(charset, charset)))
  return title, without_title(title, text)


def from_text(page: str) -> tuple[str, str]:
  """As `read_html`, of a page that is decoded; its text may begin with its title."""
  parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True,
                            remove_pis=True, no_network=True)
  page = _END.sub("", _OWN.sub(" ", page))  # what stands behind is read, too
  if page.lstrip().startswith("<?xml"):
    page = _CDATA.sub(lambda match: html.escape(match.group(1), quote=False), page)
  try:
    root = etree.fromstring(page.encode(), parser)
  except etree.XMLSyntaxError:  # of nothing at all
    root = None
  if any("RESOURCE_LIMIT" in entry.type_name for entry in parser.error_log):
    raise Unreadable("nested too deep")  # what is below 2048 elements is lost
  if root is None:
    return "", ""
  texts = [_text(element) for element in _main_parts(root)]
  text = "\n\n".join(filter(None, texts)) or _text(root)
  return _without_site(_title(root), root), text


def _without_site(title: str, root: etree._Element) -> str:
  """The title of a page, less the name of the site where a heading is the rest of it."""
  for element in root.iter("h1"):
    heading = " ".join(_text(element).split())
    rest = title.removeprefix(heading) if heading else title
    if rest != title and _SITE.match(rest):
      return heading
  return title


def _main_parts(root: etree._Element) -> list[etree._Element]:
  """The elements that say that they hold the content; those that are hidden do not."""
  elements = root.xpath(f"(//main | //*[@role='main'])[position() <= {_MOST_MAINS}]")
  if not isinstance(elements, list):
    raise Unreadable("damaged")
  return [element for element in elements if not is_unread(element) and not any(
      above in elements or is_unread(above) for above in element.iterancestors())]


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
  pieces = [""]
  pre = maths = quotes = 0
  power: etree._Element | None = None
  hidden: etree._Element | None = None
  cell: etree._Element | None = None
  walk = etree.iterwalk(top, events=("start", "end"))
  for event, element in walk:
    name = element.tag
    if event == "start":
      if is_unread(element):
        walk.skip_subtree()
        hidden = element
        continue
      if mark := _MARKS.get(name):
        pieces.append(mark if cell is None else " ")
        if cell is None and name in _CELLS and _is_small_cell(element):
          cell = element
      elif maths or name in _SIGNED:  # few: all else is passed by in a hurry
        if power is None and _is_power(element):
          power = element
        pieces.append(_before(element, quotes, pieces[-1]))
      pre += name in _AS_WRITTEN
      maths += name in mathml.OF_PARTS
      quotes += name == "q"
      if text := element.text:
        pieces.append(_spaced(text, pre, power is not None))
      continue
    if element is not hidden:
      pre -= name in _AS_WRITTEN
      maths -= name in mathml.OF_PARTS
      if maths or name in mathml.FIRST:
        pieces.append(mathml.after(element))
      power = None if element is power else power
      if name == "q":
        quotes -= 1
        pieces.append(_QUOTES[quotes % 2][1])
    cell = None if element is cell else cell
    if name in _PARAGRAPHS:
      pieces.append(_PARAGRAPH if cell is None else " ")
    if element is not top and (text := element.tail):
      pieces.append(_spaced(text, pre, power is not None))
  return _laid_out("".join(pieces))


def _is_small_cell(element: etree._Element) -> bool:
  """Whether a cell of a table is a value, so that its paragraphs belong in one line.

  Tables also lay pages out: their cells hold other tables, headings or much text.
  """
  size = 0
  for count, part in enumerate(element.iter(), 1):
    size += len(part.text or "") + len(part.tail or "")
    if count > _MOST_PARTS or size > _MOST_OF_CELL or (
        part is not element and part.tag in _LAID_OUT):
      return False
  return True


def _is_power(element: etree._Element) -> bool:
  """Whether it stands above the line, and all of it is a number."""
  if element.tag == "sup":
    text = "".join(element.itertext())
    return raised(text) != text and not _is_numerator(element)
  return mathml.is_exponent(element)


def _is_numerator(element: etree._Element) -> bool:
  """Whether something below the line follows a stroke: 5<sup>1</sup>/<sub>2</sub>."""
  following = element.getnext()
  return (following is not None and following.tag == "sub"
          and (element.tail or "").strip() in ("/", "⁄"))


def _before(element: etree._Element, quotes: int, last: str) -> str:
  """What stands before it, in so many quotes, and behind the `last` piece of text."""
  name = element.tag
  if name == "q":
    return _QUOTES[quotes % 2][0]
  if name == "sup":
    return " " if last[-1:].isdigit() and _is_numerator(element) else ""
  return mathml.before(element, last)


def _spaced(text: str, pre: int, power: bool) -> str:
  """White space as it is read: one space, but in <pre> all of it; a power is raised."""
  text = superscript(text) if power else text
  if pre:
    return text.replace("\n", _BREAK).replace(" ", _SPACE).replace("\t", _SPACE)
  return text.translate(_WHITE)  # of several spaces one is left when all is laid out


def _laid_out(marked: str) -> str:
  """Paragraphs with a blank line between them, lines, and cells between bars."""
  text = re.sub(" +", " ", marked)
  text = _BREAKS.sub(
      lambda match: "\n\n" if _PARAGRAPH in match.group() else "\n", text)
  text = re.sub(f" *{_CELL}[ {_CELL}]*", " | ", text)
  text = re.sub(r"\n(?: \|)? ", "\n", text)
  return text.replace(_BREAK, "\n").replace(_SPACE, " ").strip().removeprefix("| ")
