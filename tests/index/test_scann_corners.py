"""ScaNN where there is little to search, or what there is has odd sizes."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import IndexConfig
from realm_tf.errors import UserError
from realm_tf.index.exact import ExactIndex
from realm_tf.index.scann import ScannIndex, ScannInGraph

_SIZE = 16


def _normal(rows, size=_SIZE, seed=0):
  return np.random.default_rng(seed).normal(size=[rows, size]).astype(np.float32)


def _exact(table):
  index = ExactIndex()
  index.assign(table, 0)
  return index


def _both(table, **config):
  """The index that is swapped, and that of exports."""
  config = IndexConfig(kind="scann", **config)
  swapped = ScannIndex(config=config)
  swapped.assign(swapped.prepare(table), 0)
  return swapped, ScannInGraph(_exact(table), config)


def _answers_as_exact(index, table, queries, k):
  for result, expected in zip(index.search(queries, k), _exact(table).search(queries, k)):
    np.testing.assert_array_equal(result, expected)


def _answers_truly(index, table, queries, k):
  """K different rows, best first, with the scores of the op."""
  scores, rows = (part.numpy() for part in index.search(queries, k))
  assert all(len(set(line)) == k for line in rows)
  assert (np.diff(scores) <= 0).all()
  products = np.einsum("bd,bkd->bk", np.float64(queries), np.float64(table)[rows])
  np.testing.assert_allclose(scores, products, rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3, 15, 16, 17, 100])
@pytest.mark.parametrize("config", [
    {}, {"leaves": 20}, {"leaves": 20, "searched_leaves": 50, "rescored": 1},
    {"leaves": 3, "rescored": 2}], ids=str)
def test_hardly_any_rows(rows, config):
  """As after most documents were deleted."""
  table, queries = _normal(rows), _normal(4, seed=1)
  for index in _both(table, **config):
    _answers_truly(index, table, queries, min(5, rows))
    _answers_as_exact(index, table, queries, rows)  # all of them


def test_all_rows_are_found_where_all_are_rescored():
  table = _normal(100)
  for index in _both(table, leaves=20, searched_leaves=1):
    _answers_as_exact(index, table, _normal(8, seed=1), 10)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_any_number_of_dimensions(size):
  table = _normal(2100, size)
  for index in _both(table, rescored=50):
    _answers_truly(index, table, _normal(3, size, 1), 10)


@pytest.mark.parametrize("rows", [20, 400, 2100])
def test_a_batch_of_none(rows):
  for index in _both(_normal(rows)):
    for banned in (None, tf.zeros([0, 3], tf.int32)):
      scores, ids = index.search(tf.zeros([0, _SIZE]), 5, banned)
      assert scores.shape == ids.shape == [0, 5]


def test_nothing_asked_for():
  for rows in (20, 400):
    for index in _both(_normal(rows)):
      assert index.search(_normal(3), 0)[1].shape == [3, 0]


@pytest.mark.parametrize("value", [1e18, 1e20, -1e30, 3e38])
@pytest.mark.parametrize("rows", [400, 2100])
def test_a_row_far_out_does_not_abort(value, rows):
  for one_component in (False, True):
    table = _normal(rows)
    table[rows // 2, slice(3, 4) if one_component else slice(None)] = value
    for index in _both(table):
      _answers_as_exact(index, table, _normal(4, seed=1), 5)


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-30, 1e20, 1e37])
def test_tables_out_of_range_are_searched_exactly(scale):
  table = (np.float64(_normal(2100)) * scale).astype(np.float32)
  for index in _both(table):
    _answers_as_exact(index, table, _normal(4, seed=1), 5)


def test_rows_of_all_sizes():
  exponents = np.random.default_rng(1).integers(-140, 120, [2100, 1])
  table = np.ldexp(_normal(2100), exponents).astype(np.float32)
  for index in _both(table):
    _answers_as_exact(index, table, _normal(4, seed=1), 5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("rows", [3, 400, 2100])
def test_rows_that_are_not_finite_are_named(value, rows):
  table = _normal(rows)
  table[rows // 2, 3] = value
  index = ScannIndex()
  with pytest.raises(UserError, match=f"row {rows // 2} of the embeddings is not finite"):
    index.prepare(table)
  with pytest.raises(UserError, match=f"row {rows // 2} of the embeddings is not finite"):
    ScannInGraph(_exact(table), IndexConfig(kind="scann"))


@pytest.mark.parametrize("distinct", [0, 1, 3])
@pytest.mark.parametrize("leaves", [0, 2100])
def test_duplicates_and_zeros(distinct, leaves):
  table = _normal(max(1, distinct)).repeat(2100, 0)[:2100] * (distinct > 0)
  table[1050:] = table[:1050][::-1]
  for index in _both(table, leaves=leaves, searched_leaves=leaves):
    _answers_truly(index, table, _normal(4, seed=1), 5)


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e20, 1e36])
def test_queries_of_all_sizes(scale):
  table = _normal(2100)
  queries = (np.float64(_normal(4, seed=1)) * scale).astype(np.float32)
  for index in _both(table):
    if scale > 1e-40:
      _answers_truly(index, table, queries, 5)
    else:  # denormal scores are zeros to some processors' float32
      assert index.search(queries, 5)[1].shape == [4, 5]
    _answers_as_exact(index, table, queries, 2100)


def test_queries_that_are_not_finite_get_what_the_op_gives():
  table, queries = np.abs(_normal(2100)), _normal(3, seed=1)
  queries[1, 2] = np.inf
  for index in _both(table):
    _answers_as_exact(index, table, queries, 5)
  queries[1, 2] = np.nan
  for index in _both(table):
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a number"):
      index.search(tf.constant(queries), 5)
