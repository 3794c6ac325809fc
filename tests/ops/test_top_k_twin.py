# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The twin where stock TensorFlow ops may go: XLA, TF1 graphs, loops, `vectorized_map`."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.ops import top_k_twin
from realm_tf.ops.top_k import top_k_inner_product
from realm_tf.ops.top_k_twin import top_k_inner_product_portable

_MATRIX = tf.TensorSpec([None, None])


@pytest.fixture(autouse=True, params=["as on CPUs", "as on accelerators"])
def _small_pieces(monkeypatch, request):
  """So that small tables have several chunks, and few columns several parts."""
  monkeypatch.setattr(top_k_twin, "_on_accelerator", lambda: request.param != "as on CPUs")
  monkeypatch.setattr(top_k_twin, "_CHUNK_SCORES", 80)
  monkeypatch.setattr(top_k_twin, "_GROUP_ROWS", 3)
  monkeypatch.setattr(top_k_twin, "_CHUNK_ROWS", 16)
  monkeypatch.setattr(top_k_twin, "_RESCORED_COLUMNS", 4)


def _integers(shape, seed):
  return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def _world(rows, width, dtype=tf.float32, bans=np.int32):
  """Queries, a table with many ties, bans with repetitions and fillers."""
  banned = np.random.default_rng(2).integers(-1, rows + 1, [5, width]).astype(bans)
  banned[:, width // 2:] = banned[:, :width - width // 2]
  return (tf.cast(_integers([5, 6], 0), dtype), tf.cast(_integers([rows, 6], 1), dtype),
          tf.constant(banned))


def _equals_the_op(results, queries, table, k, banned=None):
  for actual, expected in zip(results, top_k_inner_product(queries, table, k, banned)):
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("bans", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("rows, k, width", [
    (1, 0, 0), (1, 1, 0), (9, 9, 0), (40, 0, 3), (40, 7, 3), (70, 30, 5)])
def test_compiled_with_static_shapes(rows, k, width, dtype, bans):
  queries, table, banned = _world(rows, width, dtype, bans)
  compiled = tf.function(lambda q, t, b: top_k_inner_product_portable(q, t, k, b),
                         jit_compile=True)
  _equals_the_op(compiled(queries, table, banned), queries, table, k, banned)


def test_compiled_with_unknown_shapes():
  signature = [_MATRIX, _MATRIX, tf.TensorSpec([], tf.int32),
               tf.TensorSpec([None, None], tf.int32)]
  compiled = tf.function(top_k_inner_product_portable, jit_compile=True,
                         input_signature=signature)
  for rows, k, width in ((16, 3, 0), (70, 30, 2)):
    queries, table, banned = _world(rows, width)
    _equals_the_op(compiled(queries, table, tf.constant(k), banned), queries, table, k,
                   banned)


def test_compiled_what_depends_on_values_is_in_the_answer():
  compiled = tf.function(top_k_inner_product_portable, jit_compile=True)
  table = tf.constant([[1.0], [np.nan], [3.0], [2.0]])
  scores, rows = compiled(tf.ones([1, 1]), table, 3)
  np.testing.assert_array_equal(rows, [[1, 2, 3]])
  np.testing.assert_array_equal(scores, [[np.nan, 3, 2]])
  scores, rows = compiled(tf.ones([1, 1]), table[2:], 2, tf.constant([[0]]))
  np.testing.assert_array_equal(rows, [[1, -1]])
  np.testing.assert_array_equal(scores, [[2, -np.inf]])


@pytest.mark.parametrize("queries, table, k, banned", [
    ([2, 3], [5, 4], 1, [2, 1]), ([2, 3], [5, 3], 6, [2, 0]), ([2, 3], [5, 3], 1, [3, 1])])
def test_compiled_shapes_that_do_not_fit_are_errors(queries, table, k, banned):
  compiled = tf.function(
      top_k_inner_product_portable, jit_compile=True,
      input_signature=[_MATRIX, _MATRIX, tf.TensorSpec([], tf.int32),
                       tf.TensorSpec([None, None], tf.int32)])
  with pytest.raises(tf.errors.InvalidArgumentError):
    compiled(tf.ones(queries), tf.ones(table), k, tf.zeros(banned, tf.int32))


@pytest.mark.parametrize("rows, k, width", [(40, 0, 3), (40, 7, 3)])
def test_in_a_tf1_graph(rows, k, width):
  queries, table, banned = _world(rows, width)
  values = [value.numpy() for value in (queries, table, banned)]
  for as_constants in (True, False):
    with tf.compat.v1.Graph().as_default(), tf.compat.v1.Session() as session:
      if as_constants:
        inputs, feed = [tf.constant(value) for value in values] + [k], {}
      else:
        inputs = [tf.compat.v1.placeholder(value.dtype) for value in (*values, np.int32(k))]
        feed = dict(zip(inputs, (*values, k)))
      q, t, b, count = inputs
      results = session.run(top_k_inner_product_portable(q, t, count, b), feed)
    _equals_the_op(results, queries, table, k, banned)


@pytest.mark.parametrize("rows, k, width, compiled", [
    (40, 7, 3, False), *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        (40, 7, 3, True), (40, 0, 3, False), (16, 3, 0, True))),
    pytest.param(40, 0, 3, True, marks=pytest.mark.stress)])
def test_vectorized(rows, k, width, compiled):
  queries, table, banned = _world(rows, width)

  @tf.function(jit_compile=compiled)
  def over_queries():
    search = lambda pair: top_k_inner_product_portable(pair[0][None], table, k, pair[1][None])
    return [part[:, 0] for part in tf.vectorized_map(search, (queries, banned))]

  @tf.function(jit_compile=compiled)
  def over_tables():
    search = lambda table: top_k_inner_product_portable(queries, table, k, banned)
    return tf.vectorized_map(search, tf.stack([table, table[::-1]]))

  _equals_the_op(over_queries(), queries, table, k, banned)
  results = over_tables()
  for i, searched in enumerate((table, table[::-1])):
    _equals_the_op([part[i] for part in results], queries, searched, k, banned)


@pytest.mark.parametrize("compiled", [False, True])
def test_inside_of_loops(compiled):
  queries, table, banned = _world(40, 3)

  @tf.function(jit_compile=compiled)
  def mapped():
    search = lambda pair: top_k_inner_product_portable(pair[0][None], table, 7, pair[1][None])
    return [part[:, 0] for part in tf.map_fn(search, (queries, banned), fn_output_signature=(
        tf.TensorSpec([1, 7]), tf.TensorSpec([1, 7], tf.int32)))]

  @tf.function(jit_compile=compiled)
  def in_a_loop():
    turn = lambda i, *_: (i + 1, *top_k_inner_product_portable(queries, table, 7, banned))
    return tf.while_loop(lambda i, *_: i < 3, turn, [
        0, tf.zeros([5, 7]), tf.zeros([5, 7], tf.int32)])[1:]

  _equals_the_op(mapped(), queries, table, 7, banned)
  _equals_the_op(in_a_loop(), queries, table, 7, banned)


@pytest.mark.parametrize("search", [top_k_inner_product, top_k_inner_product_portable])
def test_where_nothing_is_asked_for_nothing_is_refused(search):
  queries, table = tf.fill([2, 3], np.nan), tf.fill([4, 3], np.inf)
  for banned in (None, tf.zeros([2, 4], tf.int32)):
    assert search(queries, table, 0, banned)[1].shape == [2, 0]
  assert search(tf.zeros([0, 3]), table * 0, 2)[1].shape == [0, 2]


@pytest.mark.parametrize("search", [top_k_inner_product, top_k_inner_product_portable])
def test_a_banned_row_that_is_not_a_number_is_refused_too(search):
  with pytest.raises(tf.errors.InvalidArgumentError, match="not a number"):
    search([[1.0]], [[1.0], [np.nan], [2.0]], 1, [[1]])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("query_size, row_size", [
    (1e30, 1e30), (1e38, 1e38), (1e-36, 1e20), (1e-28, 1e-6), (1.0, 1e38)])
def test_products_that_overflow_float32(query_size, row_size, compiled):
  rng = np.random.default_rng(3)
  queries, table = (tf.constant(np.float32(rng.uniform(-1, 1, shape) * size))
                    for shape, size in (([4, 8], query_size), ([60, 8], row_size)))
  find = tf.function(top_k_inner_product_portable, jit_compile=compiled)
  for k in (5, 60):
    rows = find(queries, table, k)[1]
    np.testing.assert_array_equal(rows, top_k_inner_product(queries, table, k)[1])


@pytest.mark.parametrize("queries, table, banned", [
    (tf.float64, tf.float64, tf.int32), (tf.int32, tf.int32, tf.int32),
    (tf.float32, tf.float32, tf.float32)])
def test_types_that_the_op_refuses(queries, table, banned):
  for search in (top_k_inner_product, top_k_inner_product_portable):
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError)):
      search(tf.ones([2, 3], queries), tf.ones([4, 3], table), 1, tf.ones([2, 1], banned))
