"""The exact index: TFRS's interface and swaps; the order of embedding."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.index import top_k
from realm_tf.index.embed import collect, length_batches
from realm_tf.index.exact import ExactIndex
from realm_tf.index.store import NotFinite


def _table(seed=0, rows=40):
  return np.random.default_rng(seed).integers(-9, 10, [rows, 8]).astype(np.float32)


@pytest.mark.parametrize("search", [top_k.top_k_inner_product,
                                    top_k.top_k_inner_product_portable])
def test_topk_interface(search):
  table, queries = _table(), _table(1, 5)
  index = ExactIndex(40, 8, search=search, k=3).index(tf.constant(table))
  order = np.argsort(-(queries @ table.T), axis=1, kind="stable")
  scores, rows = index(queries)
  np.testing.assert_array_equal(rows, order[:, :3])
  expected = np.take_along_axis(queries @ table.T, order, 1)
  np.testing.assert_array_equal(scores, expected[:, :3])
  banned = order[:, :2].astype(np.int32)
  _, rows = index.query_with_exclusions(queries, banned, k=4)
  np.testing.assert_array_equal(rows, order[:, 2:6])
  assert index.is_exact()


def test_a_swap_never_retraces():
  index = ExactIndex(40, 8)
  traces = []

  @tf.function(input_signature=[tf.TensorSpec([None, 8])])
  def best(queries):
    traces.append(1)
    return index.search(queries, 1)[1][:, 0]

  queries = _table(1, 5)
  for seed in range(20):
    table = _table(seed)
    index.assign(table, seed)
    np.testing.assert_array_equal(best(queries), np.argmax(queries @ table.T, 1))
    assert int(index.step) == seed
  assert len(traces) == 1


def test_length_batches_hold_every_row_once_and_like_lengths_together():
  lengths = np.random.default_rng(0).integers(3, 60, 200)
  batches = list(length_batches(lengths, 256))
  assert sorted(np.concatenate(batches).tolist()) == list(range(200))
  assert all(len(rows) * lengths[rows].max() <= 256 for rows in batches)
  assert sum(len(b) * lengths[b].max() for b in batches) < 1.15 * lengths.sum()


def test_collect_orders_rows_and_refuses_nan():
  table = _table()
  parts = [(rows, table[rows]) for rows in np.array_split(np.random.permutation(40), 7)]
  np.testing.assert_array_equal(collect(iter(parts), 40), table)
  parts[3][1][0, 0] = np.nan
  with pytest.raises(NotFinite, match="lower the learning rate"):
    collect(iter(parts), 40)
