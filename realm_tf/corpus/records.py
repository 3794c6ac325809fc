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
    features = {name: [_sized(_FIRST, getattr(block, name).encode("utf-8"))
                       for block in batch] for name in STRINGS}
    features |= {name: _packed([getattr(block, name) for block in batch])
                 for name in INTEGERS}
    columns = [_entries(name, features[name]) for name in _FIELDS]
    yield from (_sized(_FIRST, b"".join(entries)) for entries in zip(*columns))


def record(example: bytes) -> bytes:
  """An example as a TFRecord."""
  size = struct.pack("<Q", len(example))
  return b"".join([size, _checksum(size), example, _checksum(example)])


def _checksum(data: bytes) -> bytes:
  # Masked, as TensorFlow does it: checksums of what has checksums in it are weak.
  crc = google_crc32c.value(data)
  return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _entries(name: str, lists: Iterable[bytes]) -> Iterator[bytes]:
  """Lists of values -> entries of the map of features."""
  key = _sized(_FIRST, name.encode())
  kind = _BYTES if name in STRINGS else _INTEGERS
  return (_sized(_FIRST, key + _sized(_SECOND, _sized(kind, values))) for values in lists)


def _packed(rows: Sequence[np.ndarray]) -> Iterator[bytes]:
  """Rows of integers from 0 to 2**31 - 1 -> each as the bytes of an Int64List."""
  values = np.concatenate(rows).astype(np.int64)
  most = max(1, -(-int(values.max(initial=1)).bit_length() // _BITS))
  shifts = _BITS * np.arange(most)
  parts = values[:, None] >> shifts
  used = parts > 0
  used[:, 0] = True
  more = np.append(used[:, 1:], np.zeros([len(values), 1], bool), 1)
  data = (parts & 0x7F | more << _BITS).astype(np.uint8)[used].tobytes()
  places = np.append(0, np.cumsum(used.sum(1)))
  ends = places[np.cumsum([0, *map(len, rows)])].tolist()
  return (_sized(_FIRST, data[start:end]) if start < end else b""
          for start, end in itertools.pairwise(ends))


def _sized(tag: bytes, data: bytes) -> bytes:
  return tag + _varint(len(data)) + data


@functools.lru_cache(maxsize=1 << 14)
def _varint(number: int) -> bytes:
  data = bytearray()
  while number >> _BITS:
    data.append(number & 0x7F | 1 << _BITS)
    number >>= _BITS
  return bytes([*data, number])
