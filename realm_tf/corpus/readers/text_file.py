"""Bytes of a file as text, and plain text as a document."""

import codecs
import re

from realm_tf.corpus.readers.closed_lines import with_closed_items
from realm_tf.corpus.readers.text_columns import with_rows
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.lines import other_kind
from realm_tf.text.field_lines import BEGINS

_LONGEST_HEADING = 80  # characters
_UNDERLINE = re.compile(r"[ \t]*([=\-~*_])\1{2,}[ \t]*(?:\n|$)")

# Longer ones first: that of UTF-16 begins that of UTF-32.
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"),
          (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
          (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(data: bytes, charset: str = "utf-8") -> str:
  """The text, in line feeds; a byte order mark tells better than `charset` does.

  Raises:
    Unreadable: not text in this encoding, or binary.
  """
  mark, charset = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)),
                       (b"", charset))
  try:
    text = data[len(mark):].decode(charset)
    text.encode()
  except (UnicodeError, LookupError) as error:
    raise Unreadable(f"not {charset.upper()}", str(error)[:200]) from None
  if "\0" in text:
    raise Unreadable("not text: it holds NUL bytes")
  return text.replace("\r\n", "\n").replace("\r", "\n")


def refuse_other_kinds(data: bytes) -> None:
  """Raises `Unreadable` of what is another kind of file, whatever its name."""
  kind = other_kind(data[:512])
  if kind and not kind.startswith("UTF-16"):  # its mark tells it as well
    raise Unreadable(f"looks like {kind}")


def without_title(title: str, text: str) -> str:
  """The text less a first line that only repeats the title."""
  first, _, rest = text.partition("\n")
  return rest.strip() if rest.strip() and first.strip() == title else text


def read_plain_text(data: bytes) -> tuple[str, str]:
  """Plain text: the line that is its heading, or no title, and the text.

  Raises:
    Unreadable: not text, or in an unknown encoding.
  """
  refuse_other_kinds(data)
  title, text = _headed(decode(data).strip())
  return title, with_closed_items(with_rows(text))


def _headed(text: str) -> tuple[str, str]:
  """A first line that is short, no sentence, and stands alone or is underlined."""
  line, _, rest = text.partition("\n")
  line, under = line.strip(), _UNDERLINE.match(rest)
  if not rest.strip() or not (under or not rest.partition("\n")[0].strip()) or (
      len(line) > _LONGEST_HEADING or line[-1] in ".,;:!?" or re.match(BEGINS, line)
      or not any(map(str.isalpha, line)) or "\t" in line):
    return "", text
  return " ".join(line.split()), rest[under.end() if under else 0:].strip()
