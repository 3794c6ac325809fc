"""Text files line by line: UTF-8 with or without a byte order mark, plain or compressed."""

import contextlib
import gzip
import io
import lzma
import pathlib
import zlib
from typing import Any, Callable, Iterator

from realm_tf.bzip2 import Unpacked
from realm_tf.errors import UserError
from realm_tf.files import PathLike


class _Streams(io.RawIOBase):
  """What streams of xz hold, one after another, as parallel packers write them.

  Those of the standard library take a damaged start of any but the first for the end of the
  file, and what comes after it is lost without a word.
  """
  # So little at a time unfolds to some megabytes at most.
  _PIECE = 1 << 10

  def __init__(self, file: Any, decompressor: Callable[[], Any]):
    self._file, self._make, self._stream = file, decompressor, decompressor()
    self._ready = memoryview(b"")

  def readable(self) -> bool:
    return True

  def readinto(self, buffer: Any) -> int:
    while not self._ready and (packed := self._packed()):
      self._ready = memoryview(self._stream.decompress(packed))
    count = min(len(self._ready), len(buffer))
    buffer[:count] = self._ready[:count]
    self._ready = self._ready[count:]
    return count

  def _packed(self) -> bytes:
    """More of the stream, or the start of the next one; nothing behind the last."""
    ended = self._stream.eof
    packed = self._stream.unused_data.lstrip(b"\0") if ended else b""
    while not packed and (piece := self._file.read(self._PIECE)):
      packed = piece.lstrip(b"\0") if ended else piece  # zeros may stand between streams
    if not packed and not ended:
      raise EOFError("Compressed file ended before the end-of-stream marker was reached")
    if packed and ended:
      self._stream = self._make()
    return packed


def _streams(decompressor: Callable[[], Any]) -> Callable[[Any], Any]:
  return lambda file: io.BufferedReader(_Streams(file, decompressor), 1 << 16)


# Offset, first bytes, suffix, name, what opens it.
_COMPRESSED: tuple[tuple[int, bytes, str, str, Callable[[Any], Any]], ...] = (
    (0, b"\x1f\x8b", ".gz", "gzip", gzip.open),
    (4, b"1AY&SY", ".bz2", "bzip2",  # before it "BZh" and a digit
     lambda file: io.BufferedReader(Unpacked(file), 1 << 16)),
    (0, b"\xfd7zXZ\x00", ".xz", "xz", _streams(lzma.LZMADecompressor)))
_SUFFIXES = frozenset(suffix for _, _, suffix, _, _ in _COMPRESSED)
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, OSError)

# What people give in place of text: offset, bytes there, name.
_NOT_TEXT = (
    (0, b"PAR1\x15", "a Parquet file"), (0, b"ARROW1\x00", "an Arrow file"),
    (0, b"PK\x03\x04", "a zip archive"), (0, b"7z\xbc\xaf", "a 7z archive"),
    (257, b"ustar", "a tar archive"), (0, b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (0, b"SQLite format 3\x00", "an SQLite database"), (0, b"%PDF-", "a PDF"),
    (0, b"{\\rtf", "an RTF document"),
    (0, b"\xff\xfe", "UTF-16 text"), (0, b"\xfe\xff", "UTF-16 text"),
    (0, b"<!DOCTYPE html", "an HTML page"), (0, b"<!doctype html", "an HTML page"),
    (0, b"<html", "an HTML page"),
    (0, b"version https", "a pointer of Git LFS: `git lfs pull` fetches the file"))
_LONGEST = 512  # bytes from the start that hold all of these
_MOST_BYTES = 1 << 30  # of a line; whatever has none would be read until memory ends


def read_lines(path: PathLike, expected: str) -> Iterator[tuple[int, str]]:
  """Yields number and text, line end included, of each line; the first is 1.

  Lines end at "\\n" alone: a form feed, U+2028 or U+0085 within one is text; in a file that
  has none they end at "\\r", as on old Macs. Files that are compressed (.gz, .bz2, .xz) are
  recognised by their first bytes or their name. It is read once and from its beginning to its
  end, so a pipe will do.

  Args:
    path: of the file.
    expected: what the file should be, for the errors: "JSON lines with id and text".

  Raises:
    UserError: not to be read, damaged, not UTF-8, or a file of another kind.
  """
  number, kind = 0, ""
  try:
    with open_packed(path) as (file, kind):
      _refuse_other_kinds(path, file, expected)
      for number, line in enumerate(_lines(file), 1):
        if len(line) == _MOST_BYTES:
          raise UserError(f"{path}:{number}: a line of more than {_MOST_BYTES} bytes; "
                          f"expected {expected}")
        # A byte order mark is what Windows editors leave on the first line.
        yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
  except UnicodeDecodeError as error:
    raise UserError(f"{path}:{number}: not UTF-8 (byte {error.start} of the line); "
                    f"expected {expected}") from None
  except DAMAGED as error:
    if isinstance(error, OSError) and error.strerror:
      raise UserError(f"{path}: cannot be read ({error.strerror}); expected {expected}"
                      ) from None
    raise UserError(f"{path}: damaged {kind} file after line {number} ({error})") from None


def _lines(file: Any) -> Iterator[bytes]:
  """Yields the lines; one of `_MOST_BYTES` is not whole."""
  first = file.readline(_MOST_BYTES)
  if first.endswith(b"\n") or len(first) == _MOST_BYTES:
    yield first
    yield from iter(lambda: file.readline(_MOST_BYTES), b"")
  else:
    yield from first.splitlines(keepends=True)


def read_text(path: PathLike, expected: str) -> str:
  """The whole file as `read_lines` reads it, which says what the errors are."""
  return "".join(line for _, line in read_lines(path, expected))


@contextlib.contextmanager
def open_packed(path: PathLike) -> Iterator[tuple[Any, str]]:
  """The bytes of a file, decompressed, and the name of what compressed them.

  Where it is damaged, a read raises one of `DAMAGED`.
  """
  name = pathlib.Path(path).suffix.lower()
  with open(path, "rb") as file:
    start = file.peek(_LONGEST)
    for offset, magic, suffix, kind, opener in _COMPRESSED:
      if start.startswith(magic, offset) or name == suffix:
        with opener(file) as unpacked:
          yield unpacked, kind
        return
    yield file, ""


def plain_suffix(path: pathlib.PurePath) -> str:
  """The last suffix, in small letters, that does not tell of compression; may be empty."""
  return next((suffix.lower() for suffix in reversed(path.suffixes)
               if suffix.lower() not in _SUFFIXES), "")


def other_kind(start: bytes) -> str | None:
  """What a file is that begins so, where that is known not to be UTF-8 text."""
  return next((kind for offset, magic, kind in _NOT_TEXT
               if start.startswith(magic, offset)), None)


def _refuse_other_kinds(path: PathLike, file: Any, expected: str) -> None:
  if kind := other_kind(file.peek(_LONGEST)):
    raise UserError(f"{path}: looks like {kind}; expected {expected}, in UTF-8")
