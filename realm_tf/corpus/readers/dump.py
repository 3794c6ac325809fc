"""The pages of an XML dump of MediaWiki, as a stream.

A dump has no document type, so one that declares entities, which could unfold to any size,
is refused as soon as it says so.
"""

from typing import Iterator, NamedTuple
from xml.parsers import expat

from realm_tf.corpus.readers.maker import Lines
from realm_tf.errors import UserError
from realm_tf.files import PathLike

MOST_PAGE_CHARACTERS = 1 << 23  # of a page; MediaWiki allows 2 MiB
_CHUNK = 1 << 16
_CUT_OFF = [expat.errors.codes[message] for message in (
    expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN)]
_EXPECTED = "pages as MediaWiki exports them, in <mediawiki>"
# Parent and name of what is read.
_FIELDS = {("page", "title"): "title", ("page", "ns"): "namespace", ("page", "id"): "id",
           ("revision", "text"): "text", ("revision", "model"): "model",
           ("namespaces", "namespace"): "name of a namespace"}
_WITHOUT_TEXT = ("6", "14")  # namespaces of files and categories


class Page(NamedTuple):
  """A page as it stands in a dump: its last revision.

  Attributes:
    id, title: strings; empty where they are missing.
    namespace: "0" for articles.
    is_redirect: whether it says so by an element.
    model: "wikitext", or what else its text is.
    text: None where it has more than `MOST_PAGE_CHARACTERS`.
    without_text: what its wiki calls files and categories, in small letters.
  """
  id: str
  title: str
  namespace: str
  is_redirect: bool
  model: str
  text: str | None
  without_text: tuple[str, ...] = ()


class _Handler:
  """Puts pages together of what the parser meets."""

  def __init__(self, path: PathLike, parser: expat.XMLParserType):
    self.pages: list[Page] = []  # that are complete, and not yet taken
    self._path, self._parser = path, parser
    self._open: list[str] = []
    self._fields: dict[str, str | None] = {}
    self._is_redirect = False
    self._namespaces: dict[str, str] = {}  # their keys, by their names
    self._key = ""  # of the namespace that is read
    self._pieces: list[str] | None = None  # of the field that is read
    self._depth = 0  # how many elements are open around that field
    self._size = 0
    parser.buffer_text = True
    parser.StartElementHandler = self._start
    parser.EndElementHandler = self._end
    parser.CharacterDataHandler = self._characters
    parser.StartDoctypeDeclHandler = self._doctype

  def _doctype(self, *declared: object) -> None:
    raise UserError(f"{self._path}:{self._parser.CurrentLineNumber}: declares a document "
                    f"type, which no dump has; expected {_EXPECTED}")

  def _start(self, name: str, attributes: dict[str, str]) -> None:
    if not self._open and name != "mediawiki":
      raise UserError(f"{self._path}: XML of <{name[:60]}>; expected {_EXPECTED}")
    if self._pieces is not None:
      pass  # an element inside of a field, which no dump has: what it holds is text of that
    elif name == "page":
      self._fields, self._is_redirect = {}, False
    elif name == "redirect":
      self._is_redirect = True
    elif self._open and (self._open[-1], name) in _FIELDS:
      self._pieces, self._size, self._depth = [], 0, len(self._open)
      self._key = attributes.get("key", "")
    self._open.append(name)

  def _characters(self, text: str) -> None:
    if self._pieces is not None:
      self._size += len(text)
      if self._size <= MOST_PAGE_CHARACTERS:
        self._pieces.append(text)

  def _end(self, name: str) -> None:
    self._open.pop()
    if self._pieces is not None:
      if len(self._open) > self._depth:
        return
      fits = self._size <= MOST_PAGE_CHARACTERS
      self._fields[_FIELDS[self._open[-1], name]] = "".join(self._pieces) if fits else None
      self._pieces = None
    if name == "namespace":
      self._namespaces[(self._fields.pop("name of a namespace", "") or "").casefold()] = (
          self._key)
    elif name == "page":
      self.pages.append(self._page())

  def _page(self) -> Page:
    fields = {key: (value or "").strip() for key, value in self._fields.items()
              if key != "text"}
    title = fields.get("title", "")
    prefix, colon, _ = title.partition(":")
    return Page(
        fields.get("id", ""), title,
        # Old dumps do not say it but by the title.
        fields.get("namespace") or (colon and self._namespaces.get(prefix.casefold())) or "0",
        self._is_redirect, fields.get("model") or "wikitext", self._fields.get("text", ""),
        tuple(name for name, key in self._namespaces.items() if key in _WITHOUT_TEXT))


def read_pages(lines: Lines, path: PathLike) -> Iterator[Page]:
  """Yields the pages of a dump.

  Args:
    lines: of the dump, which are read as pages are asked for.
    path: of the dump, for the errors.

  Raises:
    UserError: not a dump, cut off, or not well-formed; names the line.
  """
  parser = expat.ParserCreate("UTF-8")  # the lines are decoded, whatever the XML says
  handler = _Handler(path, parser)
  try:
    for chunk in _chunks(lines):
      parser.Parse(chunk.encode())
      yield from handler.pages
      handler.pages.clear()
    parser.Parse(b"", True)
  except expat.ExpatError as error:
    damage = "cut off" if error.code in _CUT_OFF else "not well-formed"
    raise UserError(f"{path}:{error.lineno}: {damage} XML ({error}); expected {_EXPECTED}"
                    ) from None
  yield from handler.pages


def _chunks(lines: Lines) -> Iterator[str]:
  """The same text in pieces that are worth a call."""
  piece, size = [], 0
  for _, line in lines:
    piece.append(line)
    size += len(line)
    if size >= _CHUNK:
      yield "".join(piece)
      piece, size = [], 0
  yield "".join(piece)
