"""Whether XLA compiles what runs between searches, and the shapes that it is given.

XLA makes one kernel of what stock operations do in many passes over memory: on a GPU that is
most of the time of a bfloat16 layer. It compiles for each shape anew, seconds, so shapes are
rounded up to some few: see `bucketed`.
"""

import bisect
import contextlib
import math
import os
from typing import Iterator, Sequence

import tensorflow as tf

from realm_tf.ops import library

MODES = ("auto", "on", "off")
_LENGTH = 32  # word pieces: padded lengths are multiples of it
# On an H100, BERT-base (768) encoded six times as fast; MiniLM (384) embedded 28,000 blocks
# in 11 s without XLA, and in 85 s with it, most of which was compiling.
_LEAST_HIDDEN = 512
_XLA_FLAGS = ("--xla_gpu_enable_triton_gemm=false",  # products by cuBLAS
              "--xla_gpu_enable_command_buffer=")  # and no CUDA graphs
_mode = ["auto"]
# Four in each doubling: at most a fifth of the rows are padding.
_ROWS = [1, 2, 3, *(quarters * 2 ** power for power in range(18) for quarters in range(4, 8))]


def set_compiling(mode: str) -> None:
  """For all threads: "on", "off", or "auto", large models where there is a GPU."""
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


def compiles(hidden: float = math.inf) -> bool:
  """Whether XLA compiles what is traced now, of a BERT of that hidden size.

  Not what an export holds (`portable`), nor where a TPU's strategy compiles all of it.
  """
  if library.is_portable() or tf.config.list_logical_devices("TPU"):
    return False
  has_gpu = bool(tf.config.list_logical_devices("GPU"))
  if _mode[0] == "off" or _mode[0] == "auto" and not (has_gpu and hidden >= _LEAST_HIDDEN):
    return False
  if has_gpu:
    set_xla_flags()
  return True


def set_xla_flags() -> None:
  """What XLA does on a GPU, unless XLA_FLAGS say something of it: XLA reads them when it
  first compiles.

  Products are cuBLAS's. XLA's own (Triton's) are tried out for each shape: on an H100 the
  first call of a BERT-base took 14 s instead of 3.5 s, and the others were no faster. Kernels
  are launched one by one: while they are recorded into a CUDA graph no other thread may use
  the device, but one may refresh the index, and a run on an H100 ended by that.
  """
  flags = os.environ.get("XLA_FLAGS", "")
  if flags and not flags.startswith("-"):  # a file of flags
    return
  added = [flag for flag in _XLA_FLAGS if flag.split("=")[0] not in flags]
  os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()


def fewer_rows(count: int) -> int:
  """The most rows, of no more than `count`, to which `bucketed` adds none; at least 1."""
  return _ROWS[max(0, bisect.bisect(_ROWS, count) - 1)]


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
