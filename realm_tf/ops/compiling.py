"""Whether XLA compiles what runs between searches, and the shapes that it is given.

XLA makes one kernel of what stock operations do in many passes over memory: on a GPU that is
most of the time of a bfloat16 layer. It compiles for each shape anew, so shapes are rounded
up to some few: see `bucketed`.
"""

import contextlib
import math
import os
from typing import Iterator, Sequence

import tensorflow as tf

from realm_tf.ops import library

MODES = ("auto", "on", "off")
_LENGTH = 32  # word pieces: padded lengths are multiples of it
_mode = ["auto"]
# Four in each doubling: at most a fifth of the rows are padding.
_ROWS = [1, 2, 3, *(quarters * 2 ** power for power in range(18) for quarters in range(4, 8))]


def set_compiling(mode: str) -> None:
  """For all threads: "on", "off", or "auto", where there is a GPU."""
  if mode not in MODES:
    raise ValueError(f"compile: expected one of {', '.join(MODES)}, got '{mode}'")
  _mode[0] = mode


@contextlib.contextmanager
def compiling(mode: str) -> Iterator[None]:
  """What is traced inside is compiled as `set_compiling` says."""
  before = _mode[0]
  set_compiling(mode)
  try:
    yield
  finally:
    _mode[0] = before


def compiles() -> bool:
  """Whether XLA compiles what is traced now.

  Not what an export holds (`portable`), nor where a TPU's strategy compiles all of it.
  """
  if library.is_portable() or tf.config.list_logical_devices("TPU"):
    return False
  if _mode[0] == "auto":
    return bool(tf.config.list_logical_devices("GPU"))
  return _mode[0] == "on"


def flashes() -> bool:
  """Whether attention may be cuDNN's in what is compiled."""
  return os.environ.get("REALM_FLASH") == "1"  # until it was seen on a GPU


def bucketed(rows: Sequence[tf.Tensor], most: int) -> list[tf.Tensor]:
  """[B, T] each, padded by zeros so that few different B and T are seen.

  T becomes a multiple of 32, but no more than `most`; B one of 1, 2, 3, 4, 5, 6, 7, 8, 10,
  12, 14, 16, 20 ...
  """
  count, length = rows[0].shape
  if count is None or length is None:
    count, length = tf.unstack(tf.shape(rows[0]))
    row_buckets = tf.constant(_ROWS)
    padded_count = tf.gather(row_buckets, tf.searchsorted(row_buckets, count[None])[0])
    padded_length = tf.minimum(-(-length // _LENGTH) * _LENGTH, most)
  else:
    padded_count = next(bucket for bucket in _ROWS if bucket >= count)
    padded_length = min(math.ceil(length / _LENGTH) * _LENGTH, most)
    if (padded_count, padded_length) == (count, length):
      return list(rows)
  return [tf.pad(values, [[0, padded_count - count], [0, padded_length - length]])
          for values in rows]
