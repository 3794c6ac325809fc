"""HTML as a document: what a reader of the page would read, its paragraphs kept."""

import html
import re
from collections.abc import Callable

from lxml import etree

from realm_tf.corpus.readers import html_scripts, html_tables, mathml
from realm_tf.corpus.readers.closed_lines import closed, with_closed_items
from realm_tf.corpus.readers.gaps import GAP, is_gap
from realm_tf.corpus.readers.text_file import decode, without_title
from realm_tf.corpus.readers.unread import is_unread
from realm_tf.corpus.readers.unreadable import Unreadable

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
_HEADINGS, _CELLS = html_tables.HEADINGS, html_tables.CELLS
_ITEMS = frozenset(("li", "dd"))
_MOST_OF_TERM = 50  # characters
_SCRIPTS = ("sup", "sub")
_SIGNED = mathml.FIRST | {"q", *_SCRIPTS}
_QUOTES = ("“", "”"), ("‘", "’")  # those in quotes are single
_MOST_MAINS = 100  # that are looked at
# They stand for what the tree says while a text is put together.
_PARAGRAPH, _LINE, _CELL, _SPACE, _BREAK = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
_JOINED = "\ue005"  # no paragraph begins behind it
_ITEM = "\ue006"  # the end of one
_GAP = "\ue007"  # an empty cell
_MARKS = (dict.fromkeys(_PARAGRAPHS, _PARAGRAPH) | dict.fromkeys(_LINES, _LINE)
          | dict.fromkeys(_CELLS, _CELL))
# A soft hyphen says where a word may break, and is no part of it.
_SITE = re.compile(r" (?:[-–—|•·»›/]|::|\|\|) \S")  # "Page - Site"
_WHITE: dict[int, str | None] = {**dict.fromkeys(map(ord, "\t\n\r\f"), " "), 0xAD: None}
_OWN = re.compile(f"[{_PARAGRAPH}-{_GAP}]")
_END = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ROWS = re.compile(f"[^\n]*{_CELL}[^\n]*")
_EMPTY_ITEM = re.compile(f"({_LINE}[ {_PARAGRAPH}{_LINE}]*){_ITEM}")
_ITEM_BEHIND = re.compile(f"([ {_PARAGRAPH}]+){_ITEM}")  # behind its paragraphs, or its list
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
  html_tables.settle_tables(root, _text_of_cell)
  texts = [_text(element) for element in _main_parts(root)]
  text = "\n\n".join(filter(None, texts)) or _text(root)
  return _without_site(_title(root), root), text


def _without_site(title: str, root: etree._Element) -> str:
  """The title of a page, less the name of the site where a heading is the rest of it."""
  for element in root.iter("h1"):
    heading = " ".join(_text(element, False).split())
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
      if title := " ".join(_text(element, False).split()):
        return title
  return ""


def _text(top: etree._Element, closes: bool = True) -> str:
  """The text below an element, without recursion: pages nest deep.

  It `closes` items and fields, which a title has not.
  """
  walk, pieces = etree.iterwalk(top, events=("start", "end")), _Pieces()
  hidden: etree._Element | None = None
  for event, element in walk:
    if event == "end":
      pieces.end(element, element is hidden, element is top)
    elif element is not top and is_unread(element):
      walk.skip_subtree()
      hidden = element
    else:
      pieces.start(element)
  return _laid_out("".join(pieces.texts), closes)


def _text_of_cell(cell: etree._Element) -> str:
  """What it says in a line; no dash where it says nothing."""
  is_empty = not "".join(cell.itertext()).strip()
  return "" if is_empty else " ".join(_text(cell, False).split())


class _Pieces:
  """Pieces of text, and what stands between them, as elements start and end."""

  def __init__(self) -> None:
    self.texts = [""]
    self._pre = self._maths = self._quotes = 0
    self._cell: etree._Element | None = None
    self._script: Callable[[str], str] | None = None  # draws figures small
    self._scripted: etree._Element | None = None
    self._marked: list[etree._Element] = []  # exponents in brackets
    self._numbers: dict[etree._Element, int] = {}  # of the last item, by list

  def start(self, element: etree._Element) -> None:
    name = element.tag
    if name == "dd" and _is_term(element.getprevious()):
      self.texts.append(f" {_JOINED}")
    elif mark := _MARKS.get(name):
      self.texts.append(mark if self._cell is None else " ")
      if self._cell is None and name in _CELLS and html_tables.is_small_cell(element):
        self._cell = element
      if name in _CELLS and mark == self.texts[-1] and is_gap(element, "tr", _CELLS):
        self.texts.append(_GAP)
      if name == "li" and (number := _number(element, self._numbers)):
        self.texts.append(number)
    elif self._maths or name in _SIGNED:  # few: all else is passed by in a hurry
      self._sign(element)
    self._pre += name in _AS_WRITTEN
    self._maths += name in mathml.OF_PARTS
    self._quotes += name == "q"
    if text := element.text:
      self.texts.append(_spaced(text, self._pre, self._script))

  def _sign(self, element: etree._Element) -> None:
    """What stands before an element that is drawn with a sign, or small."""
    last, name = self.texts[-1], element.tag
    if self._script is None:
      self._script = (html_scripts if name in _SCRIPTS else mathml).script(element, last)
      self._scripted = element if self._script else None
    if name == "q":
      self.texts.append(_QUOTES[self._quotes % 2][0])
    elif name not in _SCRIPTS:
      self.texts.append(mathml.before(element, last))
    elif html_scripts.is_numerator(element):
      self.texts.append(" " if last[-1:].isdigit() else "")
    elif name == "sup" and self._script is None:
      self.texts.append(html_scripts.mark(element, last))
      self._marked += [element] if self.texts[-1] == "^(" else []

  def end(self, element: etree._Element, is_hidden: bool, is_top: bool) -> None:
    """What stands behind an element, of which nothing is read where it is hidden."""
    name = element.tag
    if not is_hidden:
      self._pre -= name in _AS_WRITTEN
      self._maths -= name in mathml.OF_PARTS
      if self._maths or name in mathml.FIRST:
        self.texts.append(mathml.after(element))
      if element is self._scripted:
        self._script = self._scripted = None
      if self._marked and element is self._marked[-1]:
        self._marked.pop()
        self.texts.append(")")
      if name == "q":
        self._quotes -= 1
        self.texts.append(_QUOTES[self._quotes % 2][1])
    self._cell = None if element is self._cell else self._cell
    if name == "dt" and _is_term(element) and not self.texts[-1].rstrip().endswith(":"):
      self.texts.append(":")
    if name in _ITEMS and self._cell is None and not _ends_as_written(element):
      self.texts.append(_ITEM)
    if name in _PARAGRAPHS:
      self.texts.append(_PARAGRAPH if self._cell is None else " ")
    if not is_top and (text := element.tail):
      self.texts.append(_spaced(text, self._pre, self._script))


def _is_term(element: etree._Element | None) -> bool:
  """Whether a short term has one description, which belong in a line: "Voltage: 110 kV"."""
  if element is None or element.tag != "dt" or is_unread(element):
    return False
  described, text = element.getnext(), "".join(element.itertext()).strip()
  return described is not None and described.tag == "dd" and not is_unread(described) and (
      0 < len(text) <= _MOST_OF_TERM and text[-1] not in ".!?")


def _ends_as_written(item: etree._Element) -> bool:
  """Whether the last of an item is code or the like, to which nothing is added."""
  return (len(item) > 0 and item[-1].tag in {*_AS_WRITTEN, "code", "kbd", "samp"}
          and not (item[-1].tail or "").strip())


def _number(item: etree._Element, numbers: dict[etree._Element, int]) -> str:
  """The number of an item, where the page says it: others are counted by who shows them."""
  numbered = item.getparent()
  if numbered is None or numbered.tag != "ol" or numbered.get("type", "1") != "1" or (
      "reversed" in numbered.keys()):
    return ""
  stated = item.get("value") or (numbers[numbered] + 1 if numbered in numbers else
                                 numbered.get("start", "1"))
  if not re.fullmatch(r"-?\d{1,9}", str(stated)) or (
      str(stated) == "1" and not item.get("value")):
    return ""
  numbers[numbered] = int(stated)
  return f"{int(stated)}. {_JOINED}"


def _spaced(text: str, pre: int, script: Callable[[str], str] | None) -> str:
  """White space as it is read: one space, but in <pre> all of it; figures as they stand."""
  text = script(text) if script else text
  if pre:
    return text.replace("\n", _BREAK).replace(" ", _SPACE).replace("\t", _SPACE)
  return text.translate(_WHITE)  # of several spaces one is left when all is laid out


def _laid_out(marked: str, closes: bool) -> str:
  """Paragraphs with a blank line between them, lines, and cells between bars."""
  text = re.sub(f"{_JOINED}[ {_PARAGRAPH}{_LINE}{_BREAK}]*", "", marked)
  text = re.sub(rf"{_GAP}\s*", f"{GAP} ", text)
  text = _EMPTY_ITEM.sub(r"\1", re.sub(" +", " ", text))
  text = _ITEM_BEHIND.sub(rf"{_ITEM}\1", text)
  text = _BREAKS.sub(
      lambda match: "\n\n" if _PARAGRAPH in match.group() else "\n", text)
  text = re.sub(f"([^\n{_ITEM}]*){_ITEM}+", lambda item: closed(item[1]), text)
  text = _ROWS.sub(lambda row: closed(row[0]), text.lstrip(f" {_CELL}"))
  text = re.sub(f" *{_CELL}[ {_CELL}]*", " | ", text)
  text = re.sub(r"\n(?: \|)? ", "\n", text)
  text = with_closed_items(text) if closes else text
  return text.replace(_BREAK, "\n").replace(_SPACE, " ").strip().removeprefix("| ")
