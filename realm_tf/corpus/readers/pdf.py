"""PDF as a document: the text of its pages, its title from the metadata."""

import io
import re

import pypdf
from pypdf.errors import DependencyError, PyPdfError

from realm_tf.corpus.readers.closed_lines import with_closed_items
from realm_tf.corpus.readers.pdf_scripts import page_text
from realm_tf.corpus.readers.running_heads import without_running_heads
from realm_tf.corpus.readers.text_file import without_title
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.text.field_lines import BEGINS

# What programs put in front of the name of the file, in place of a title, or for none.
_PROGRAMS = re.compile(
    r"(?i)^Microsoft (Word|PowerPoint|Excel) - |\.(docx?|pptx?|xlsx?|tex|dvi|pdf)$"
    r"|^\(?(anonymous|untitled( document)?|unspecified)\)?$")
# Letters that fonts draw as one sign.
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl",
                            "ﬅ": "st", "ﬆ": "st"})
_HYPHENATED = re.compile(r"(?<![^\W\d_])([^\W\d_]+)([-\u00ad])\n([a-zà-öø-ÿ][^\W\d_]*)")
_ITEMS = re.compile(rf"\n(?!- \d+ -)(?={BEGINS})")  # before items, fields; no page numbers
_OVER_PAGES = re.compile(r"(?<![^\W\d_])([^\W\d_]+)(-)\n\n([a-zà-öø-ÿ][^\W\d_]*)")
_COMPOUND = re.compile(r"(?=\b([^\W\d_]+-[^\W\d_]+)\b)")
_WITHIN_COMPOUND = frozenset(  # up-to-date
    "a and at by de for from in la le of on or out the to up with".split())
# What has a hyphen anyway: COVID-19, Anglo-Saxon, 1990–2000.
_JOINED = re.compile(r"(?<=\w)-[ \t]*\n(?=[A-Z0-9À-ÖØ-Þ])|(?<=\d)–[ \t]*\n(?=\d)")


def read_pdf(data: bytes) -> tuple[str, str]:
  """The title, which may be empty, and the text: a paragraph for each page.

  Lines that a page breaks are joined, but for items and fields (`field_lines`); words that
  it hyphenates, too.

  Raises:
    Unreadable: damaged, or encrypted with a password.
  """
  if b"%PDF-" not in data[:1024]:
    raise Unreadable("damaged", "no PDF")
  try:
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
      raise Unreadable("encrypted")
    pages = [page_text(page) for page in reader.pages]
    title = _title(reader)
  except DependencyError:  # AES without a library for it
    raise Unreadable("encrypted") from None
  except PyPdfError as error:
    raise Unreadable("damaged", str(error)[:200]) from None
  pages = without_running_heads([_in_lines(page) for page in pages])
  compounds = _compounds(pages)
  text = "\n\n".join(filter(None, (_paragraphs(page, compounds) for page in pages)))
  text = _OVER_PAGES.sub(lambda match: _mended(match, compounds), text)
  return title, without_title(title, text)


def _title(reader: pypdf.PdfReader) -> str:
  title = reader.metadata.title if reader.metadata else None
  return " ".join(_PROGRAMS.sub("", _valid(str(title or ""))).split())


def _valid(text: str) -> str:
  """What a font maps to no character is left out; of a ligature its letters are kept."""
  return text.encode("utf-8", "ignore").decode().replace("\0", "").translate(_LIGATURES)


def _in_lines(page: str) -> str:
  return _valid(page).replace("\r\n", "\n").replace("\r", "\n")


def _compounds(pages: list[str]) -> frozenset[str]:
  """Words that have a hyphen where no line ends, and are not also written without it."""
  text = "\n".join(pages).casefold()
  words = frozenset(re.findall(r"[^\W\d_]+", text))
  return frozenset(word for word in _COMPOUND.findall(text)
                   if word.replace("-", "") not in words)


def _mended(match: re.Match, compounds: frozenset[str]) -> str:
  """A word that a line's end parts: long-term keeps its hyphen, state-of-the-art, too."""
  before, sign, behind = match.groups()
  inner = match.string[max(match.start() - 1, 0)] == "-" and before in _WITHIN_COMPOUND
  keeps = sign == "-" and (inner or f"{before}-{behind}".casefold() in compounds)
  return f"{before}-{behind}" if keeps else before + behind


def _paragraphs(page: str, compounds: frozenset[str]) -> str:
  text = _JOINED.sub(lambda match: match[0].rstrip(), _HYPHENATED.sub(
      lambda match: _mended(match, compounds), page))
  text = text.replace("\xad", "")
  paragraphs = ("\n".join(filter(None, (" ".join(part.split()) for part in
                                        _ITEMS.split(paragraph))))
                for paragraph in re.split(r"\n[ \t]*\n", text))
  return with_closed_items("\n\n".join(filter(None, paragraphs)))
