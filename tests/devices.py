# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Tests that need a GPU, and what may differ on one."""

import numpy as np
import pytest
import tensorflow as tf


def has_gpu() -> bool:
  return bool(tf.config.list_physical_devices("GPU"))


on_gpu = pytest.mark.skipif(not has_gpu(), reason="needs a GPU")


def assert_same_of_graphs(actual, expected) -> None:
  """That a graph computes what its operations do one by one: to the bit, but on a GPU, where
  TensorFlow fuses some of a graph, nearly."""
  if has_gpu():
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
  else:
    np.testing.assert_array_equal(actual, expected)
