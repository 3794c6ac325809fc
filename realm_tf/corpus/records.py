"""Blocks as the bytes of tf.train.Examples, and these as those of TFRecords.

Protocol Buffers take 50 µs for a block, by far most of it for integers one by one: here all
integers of many blocks are written at once. The bytes are those of `SerializeToString`,
deterministic.
"""

import functools
import itertools
import struct
from typing import Iterable, Iterator, Sequence

import google_crc32c
import numpy as np

from realm_tf.corpus.blocks import INTEGERS, STRINGS, Block

_BLOCKS = 2048  # at a time
# Tags, see tensorflow/core/example/{example,feature}.proto: all that has a length.
_FIRST, _SECOND = b"\x0a", b"\x12"
_BYTES, _INTEGERS = b"\x0a", b"\x1a"  # of a feature
# By name, but "title_ids" before "title": so the library sorts them.
_FIELDS = sorted((*STRINGS, *INTEGERS), key=lambda name: name + "~")
_BITS = 7  # of a number in each byte of a varint


def serialized(blocks: Iterable[Block]) -> Iterator[bytes]:
  """Each block as the bytes of a tf.train.Example; the same for the same block."""
  blocks = iter(blocks)
  while batch := list(itertools.islice(blocks, _BLOCKS)):
    columns = []
    for name in _FIELDS:
      rows = [getattr(block, name) for block in batch]
      values = ([row.encode("utf-8") for row in rows] if name in STRINGS
                else _varints(rows))
      columns += [[_before(name, len(value)) for value in values], values]
    for parts in zip(*columns):
      features = b"".join(parts)
      yield _FIRST + _varint(len(features)) + features


def record(example: bytes) -> bytes:
  """An example as a TFRecord."""
  size = struct.pack("<Q", len(example))
  return b"".join([size, _checksum(size), example, _checksum(example)])


def _checksum(data: bytes) -> bytes:
  # Masked, as TensorFlow does it: checksums of what has checksums in it are weak.
  crc = google_crc32c.value(data)
  return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@functools.lru_cache(maxsize=1 << 16)
def _before(name: str, size: int) -> bytes:
  """What comes before the value of a field, of so many bytes, in the map of features."""
  before = _FIRST + _varint(size) if size or name in STRINGS else b""
  for tag in (_BYTES if name in STRINGS else _INTEGERS, _SECOND):
    before = tag + _varint(len(before) + size) + before
  before = _FIRST + _varint(len(name)) + name.encode() + before
  return _FIRST + _varint(len(before) + size) + before


def _varint(number: int) -> bytes:
  data = bytearray()
  while number >> _BITS:
    data.append(number & 0x7F | 0x80)
    number >>= _BITS
  return bytes([*data, number])


def _varints(rows: Sequence[np.ndarray]) -> list[bytes]:
  """The integers of each row, from 0 to 2**31 - 1, as varints."""
  values = np.concatenate(rows)
  most = max(1, -(-int(values.max(initial=0)).bit_length() // _BITS))
  widths = np.ones(len(values), np.int64)
  for place in range(1, most):
    widths += values >= 1 << _BITS * place
  ends = np.append(0, np.cumsum(widths))
  data = np.empty(ends[-1], np.uint8)
  for place in range(most):
    wide = np.flatnonzero(widths > place)
    part = values[wide] >> _BITS * place & 0x7F
    data[ends[wide] + place] = part | (widths[wide] > place + 1) << _BITS
  joined, places = data.tobytes(), ends[np.cumsum([0, *map(len, rows)])].tolist()
  return [joined[start:end] for start, end in itertools.pairwise(places)]
