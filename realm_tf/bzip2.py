"""bzip2 files of many streams, as dumps of MediaWiki are, unpacked by all cores.

A file is cut where a stream seems to begin: ten bytes say so, which may stand within another
by chance. Each piece is unpacked by itself; where it turns out that it did not begin or end
with a stream, or that it is damaged, that is thrown away, and the piece is unpacked behind
the one before it. So what comes out, and where it ends in an error, is what one thread reads.
"""

import bz2
import io
import itertools
import re
from typing import Any, Generator, Iterator, NamedTuple

from realm_tf.parallel import in_order

# The head of a stream, and of its first block; or of the end, where it has none.
_BEGIN = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_HEAD = 10  # bytes of it
_PIECE, _LONGEST = 1 << 18, 1 << 20  # bytes of a piece: about, and at most
_MOST = 1 << 24  # bytes that a piece is unpacked to ahead of its turn
# So little at a time unfolds to some megabytes at most; and nothing is given of a block
# before its checksum was compared.
_STEP = 1 << 10


class _Ahead(NamedTuple):
  """A piece, and what it holds if it is whole streams; None: that is not known."""
  packed: bytes
  unpacked: bytes | None


class Unpacked(io.RawIOBase):
  """What a file of bzip2 holds, stream after stream.

  Zeros may stand between streams. Damage raises `OSError`, a file that ends within a stream
  `EOFError`, behind all that comes before it.
  """

  def __init__(self, file: Any, workers: int | None = None):
    """`workers` threads unpack; by default as many as there are cores."""
    self._parts = _unpacked(file, workers)
    self._ready = memoryview(b"")

  def readable(self) -> bool:
    return True

  def readinto(self, buffer: Any) -> int:
    while not self._ready:
      part = next(self._parts, None)
      if part is None:
        return 0
      self._ready = memoryview(part)
    count = min(len(self._ready), len(buffer))
    buffer[:count] = self._ready[:count]
    self._ready = self._ready[count:]
    return count

  def close(self) -> None:
    self._parts.close()
    super().close()


def _unpacked(file: Any, workers: int | None) -> Generator[bytes, None, None]:
  pieces = _pieces(file)
  first = list(itertools.islice(pieces, 2))
  if len(first) < 2 or workers == 1:  # no thread is worth it
    yield from _one_by_one(_Ahead(packed, None) for packed in itertools.chain(first, pieces))
    return
  results = in_order(_unpack_ahead, itertools.chain(first, pieces), workers)
  try:
    yield from _one_by_one(results)
  finally:
    results.close()


def _pieces(file: Any) -> Iterator[bytes]:
  """The bytes of the file, cut where a stream seems to begin, or else at `_LONGEST`."""
  data, ended = b"", False
  while not ended or data:
    while len(data) < _LONGEST and not ended:
      more = file.read(_PIECE)
      data, ended = data + more, not more
    begin = _BEGIN.search(data, _PIECE)
    end = begin.start() if begin else len(data) if ended else max(1, len(data) - _HEAD)
    end = min(end, _LONGEST)
    yield data[:end]
    data = data[end:]


def _unpack_ahead(packed: bytes) -> _Ahead:
  """Unpacks a piece as if it were whole streams."""
  if not _BEGIN.match(packed):
    return _Ahead(packed, None)
  parts, size, rest = [], 0, packed
  while rest:
    stream = bz2.BZ2Decompressor()
    try:
      part = stream.decompress(rest, _MOST + 1 - size)
    except OSError:
      return _Ahead(packed, None)
    parts.append(part)
    size += len(part)
    if not stream.eof:  # cut off, or too long
      return _Ahead(packed, None)
    rest = stream.unused_data.lstrip(b"\0")
  return _Ahead(packed, b"".join(parts))


def _one_by_one(pieces: Iterator[_Ahead]) -> Iterator[bytes]:
  """What the pieces hold, whichever of them were not unpacked, or begin within a stream."""
  stream = bz2.BZ2Decompressor()
  begun = False  # whether the stream has bytes
  ended = False  # whether it has all
  for packed, unpacked in pieces:
    if unpacked is not None and (ended or not begun):
      begun, ended = True, True
      yield unpacked
      continue
    for first in range(0, len(packed), _STEP):
      rest = packed[first:first + _STEP]
      while rest:
        if ended:
          rest = rest.lstrip(b"\0")  # zeros may stand between streams
          if not rest:
            break
          stream, ended = bz2.BZ2Decompressor(), False
        begun = True
        yield stream.decompress(rest)
        ended, rest = stream.eof, stream.unused_data if stream.eof else b""
  if not ended:
    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
