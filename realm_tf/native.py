# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The compiled ops: one shared library, loaded once."""

import os

import tensorflow as tf

_LIBRARY = os.path.join(os.path.dirname(__file__), "_realm_ops.so")


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
