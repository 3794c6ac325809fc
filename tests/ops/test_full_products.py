# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Products and searches on a device that multiplies TF32; here its rounding is played."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.ops import full_products
from realm_tf.ops.full_products import float32_products
from realm_tf.ops.top_k import top_k_inner_product
from realm_tf.ops.top_k_twin import top_k_inner_product_portable


def _as_tf32(values):
  """Rounded to 11 bits of significand, to the nearest."""
  bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
  return ((bits + 0x1000) & 0xFFFFE000).astype(np.uint32).view(np.float32)


@pytest.fixture(name="rounding", autouse=True)
def _rounding(monkeypatch):
  """`full_products` as on such a device."""
  def product(queries, rows):
    return tf.numpy_function(
        lambda a, b: (_as_tf32(a).astype(np.float64) @ _as_tf32(b).astype(np.float64).T
                      ).astype(np.float32), [queries, rows], tf.float32)

  monkeypatch.setattr(full_products, "_product", product)
  monkeypatch.setattr(full_products, "_is_rounded", lambda: True)


def _world(dtype):
  """Rows that differ from each other by less than TF32 tells apart."""
  rng = np.random.default_rng(5)
  near = 1 + 2e-4 * rng.standard_normal([200, 24])
  queries = tf.constant(1 + rng.random([6, 24]), tf.float32)
  return queries, tf.cast(tf.constant(near), dtype)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_products_are_as_exact_as_those_of_float32(dtype, monkeypatch):
  queries, rows = _world(dtype)
  exact = queries.numpy().astype(np.float64) @ tf.cast(rows, tf.float64).numpy().T

  def error():
    return np.abs(float32_products(queries, rows).numpy() / exact - 1).max()

  assert error() < 3e-7
  monkeypatch.setattr(full_products, "_is_rounded", lambda: False)
  assert error() > 3e-5


def test_the_search_finds_what_the_op_finds(monkeypatch):
  queries, rows = _world(tf.float32)
  expected = top_k_inner_product(queries, rows, 5)[1].numpy()
  np.testing.assert_array_equal(top_k_inner_product_portable(queries, rows, 5)[1], expected)
  monkeypatch.setattr(full_products, "_is_rounded", lambda: False)
  assert (top_k_inner_product_portable(queries, rows, 5)[1].numpy() != expected).any()


def test_what_is_not_finite_stays_so():
  rows = np.ones([4, 3], np.float32)
  rows[1, 1], rows[2, 2], rows[3, 0] = np.inf, -np.inf, np.nan
  queries = np.array([[1, 1, 1], [1 + 2.0**-20, 2, 1 + 2.0**-20]], np.float32)
  expected = queries.astype(np.float64) @ rows.T.astype(np.float64)
  np.testing.assert_allclose(float32_products(queries, tf.constant(rows)), expected, 1e-6)
