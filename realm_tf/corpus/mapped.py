"""Arrays that stay on the disk: files mapped into memory, whose pages are read when used."""

import mmap
import os
import pathlib
from typing import Sequence

import ml_dtypes
import numpy as np
import tensorflow as tf

from realm_tf.corpus.strings import Strings

_STRINGS = 1 << 14  # that are Python's at the same time
_ALIGNMENT = 64  # bytes, of a tensor's memory
_MAP_NORESERVE = 0x4000  # of Linux: a file larger than memory may be mapped


def map_array(path: pathlib.Path, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
  """A file as an array. What is written into it stays in this process.

  Raises:
    OSError: there is no such file.
    ValueError: it has another size.
  """
  size = int(np.prod(shape)) * dtype.itemsize
  with open(path, "rb") as file:
    if os.fstat(file.fileno()).st_size != size:
      raise ValueError(f"{path}: {os.fstat(file.fileno()).st_size} bytes, not {size}")
    if not size:
      return np.zeros(shape, dtype)
    memory = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE | _MAP_NORESERVE,
                       mmap.PROT_READ | mmap.PROT_WRITE)  # TensorFlow takes no read-only one
  return np.frombuffer(memory, dtype).reshape(shape)


def string_tensor(strings: Strings) -> tf.Tensor:
  """[N] strings as a tensor, without a second copy of them all on the way."""
  # It is of nobody else yet, so it may be written in place.
  tensor = tf.raw_ops.Empty(shape=[len(strings)], dtype=tf.string)
  for first in range(0, len(strings), _STRINGS):
    part = strings[first:first + _STRINGS]
    tensor = tf.raw_ops.InplaceUpdate(
        x=tensor, i=tf.range(first, first + len(part)), v=tf.constant(part, tf.string))
  return tensor


def as_tensor(table: np.ndarray) -> tf.Tensor:
  """A tensor in the memory of `table`, which nobody may change any more.

  Only where TensorFlow can use it there, as it can what `map_array` gives.
  """
  usable = table.flags.c_contiguous and table.flags.writeable and table.size
  if table.ctypes.data % _ALIGNMENT or not usable:
    return tf.constant(table)
  if table.dtype == ml_dtypes.bfloat16:
    return tf.bitcast(as_tensor(table.view(np.uint16)), tf.bfloat16)
  return tf.experimental.dlpack.from_dlpack(table.__dlpack__())
