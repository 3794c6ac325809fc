# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The search on a GPU, which is the op's for CPUs to the bit.

Its kernels are tested without a GPU too, emulated: ops/top_k_gpu/kernels_test.cc.
"""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.ops import top_k_gpu
from realm_tf.ops.top_k import top_k_inner_product
from realm_tf.ops.top_k_gpu import top_k_inner_product_gpu

pytestmark = pytest.mark.skipif(not top_k_gpu.is_available(),
                                reason="needs a GPU, and the op built for it by nvcc")


def _normal(shape, seed, dtype=tf.float32):
  return tf.cast(np.random.default_rng(seed).standard_normal(shape, np.float32), dtype)


def _equals_the_op(queries, table, k, banned=None):
  with tf.device("GPU"):
    found = top_k_inner_product_gpu(tf.identity(queries), tf.identity(table), k, banned)
  with tf.device("CPU"):
    expected = top_k_inner_product(tf.identity(queries), tf.identity(table), k, banned)
  for actual, wanted in zip(found, expected):
    np.testing.assert_array_equal(actual, wanted)


def _is_decided(queries, table, width):
  with tf.device("GPU"):
    return top_k_gpu._ops().realm_top_k_on_gpu(
        queries=queries, table=table, width=width).problem.numpy() == 0


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("batch, rows, depth, k", [
    (1, 50001, 128, 8), (5, 33, 8, 33), (64, 20000, 128, 8), (70, 20011, 64, 20),
    (33, 3001, 768, 3), (64, 3001, 512, 3), (2, 100000, 128, 1000)])
def test_equals_the_op(batch, rows, depth, k, dtype):
  queries, table = _normal([batch, depth], 0), _normal([rows, depth], 1, dtype)
  assert _is_decided(queries, table, k)
  _equals_the_op(queries, table, k)


@pytest.mark.parametrize("bans", [np.int32, np.int64])
def test_banned_rows_are_left_out(bans):
  queries, table = _normal([9, 32], 0, tf.bfloat16), _normal([5000, 32], 1)
  banned = top_k_inner_product(queries, table, 6)[1].numpy()[:, ::2].astype(bans)
  banned[:, 2] = np.where(np.arange(9) % 2, banned[:, 0], -1)  # repetitions and fillers
  _equals_the_op(queries, table, 7, tf.constant(banned))


def test_what_cannot_be_decided_is_the_twins():
  queries, table = _normal([4, 16], 0), _normal([9000, 16], 1)
  whole, alike = tf.round(queries), tf.concat([tf.round(table[:1])] * 9000, 0)
  assert not _is_decided(whole, alike, 5)
  _equals_the_op(whole, alike, 5)  # whole numbers, as the twin's products may be rounded
  _equals_the_op(queries, table, 1200)
  _equals_the_op(queries, table, 0)
  _equals_the_op(queries[:0], table, 3)
  _equals_the_op(queries[:, :6], table[:, :6], 3)  # 24 bytes


def test_large_small_and_infinite_numbers():
  queries, table = _normal([4, 16], 0), _normal([900, 16], 1)
  for of_queries, of_rows in ((1e-20, 1e-15), (1e15, 1e3), (1e30, 1e10), (1e-38, 1e30)):
    _equals_the_op(queries * of_queries, table * of_rows, 9)
  _equals_the_op(queries, tf.concat([table, [[np.inf] + [1.0] * 15]], 0), 5)


@pytest.mark.parametrize("where", ["queries", "table"])
def test_what_is_not_a_number_is_refused(where):
  queries, table = _normal([2, 8], 0).numpy(), _normal([500, 8], 1).numpy()
  {"queries": queries, "table": table}[where][1, 3] = np.nan
  with tf.device("GPU"), pytest.raises(tf.errors.InvalidArgumentError, match="not a number"):
    top_k_inner_product_gpu(queries, table, 3)


@pytest.mark.parametrize("queries, table, k, banned, message", [
    ([2, 3], [5, 4], 1, None, "same D"), ([2, 4], [5, 4], 6, None, "more than"),
    ([2, 4], [5, 4], 5, [[1], [9]], "more than"), ([2, 4], [5, 4], -1, None, "negative")])
def test_refuses_what_the_op_refuses(queries, table, k, banned, message):
  with tf.device("GPU"), pytest.raises(tf.errors.InvalidArgumentError, match=message):
    top_k_inner_product_gpu(tf.ones(queries), tf.ones(table), k, banned)


def test_in_a_graph_of_unknown_shapes():
  matrix = tf.TensorSpec([None, None])
  search = tf.function(top_k_inner_product_gpu, input_signature=[
      matrix, matrix, tf.TensorSpec([], tf.int32), tf.TensorSpec([None, None], tf.int32)])
  for rows, width in ((3000, 2), (700, 0)):
    queries, table = _normal([3, 16], 0), _normal([rows, 16], rows)
    banned = tf.fill([3, width], 7)
    with tf.device("GPU"):
      found = search(queries, table, 5, banned)
    for actual, wanted in zip(found, top_k_inner_product(queries, table, 5, banned)):
      np.testing.assert_array_equal(actual, wanted)
