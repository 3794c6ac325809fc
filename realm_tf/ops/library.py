# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The shared library of the compiled ops, loaded once, and the switch to do without."""

import contextlib
import os
from typing import Iterator

import tensorflow as tf

import realm_tf

_LIBRARY = os.path.join(os.path.dirname(realm_tf.__file__), "_realm_ops.so")
_only_stock = [False]


def load_library(path: str = _LIBRARY):
  """The module of our ops, as `tf.load_op_library` makes it.

  Raises:
    ImportError: the library was not compiled.
  """
  if not os.path.exists(path):
    raise ImportError(
        f"realm_tf's ops are not compiled ({path} is missing): run `make setup` "
        "in the source tree, or `pip install .`.")
  return tf.load_op_library(path)


ops = load_library()


@contextlib.contextmanager
def portable() -> Iterator[None]:
  """What is traced inside uses stock TensorFlow ops only.

  For GPU, TPU and XLA, and for exports that a stock TensorFlow Serving must load. It holds
  for all threads.
  """
  before, _only_stock[0] = _only_stock[0], True
  try:
    yield
  finally:
    _only_stock[0] = before


def is_portable() -> bool:
  """Whether what is called now has to be of stock ops."""
  return _only_stock[0]


def can_compute(dtype: tf.DType) -> bool:
  """Whether models may compute by our ops, which are of CPUs, on values of that dtype."""
  elsewhere = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU")
  return not (is_portable() or elsewhere) and dtype in (tf.float32, tf.bfloat16)
