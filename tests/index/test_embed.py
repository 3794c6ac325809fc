"""The order in which a corpus is embedded, and in which its rows are put."""

import numpy as np
import pytest

from realm_tf.index.embed import collect_rows, length_batches
from realm_tf.index.stored_index import NotFinite


def _table(seed=0, rows=40):
  return np.random.default_rng(seed).integers(-9, 10, [rows, 8]).astype(np.float32)


def test_length_batches_hold_every_row_once_and_like_lengths_together():
  lengths = np.random.default_rng(0).integers(3, 60, 200)
  batches = list(length_batches(lengths, 256))
  assert sorted(np.concatenate(batches).tolist()) == list(range(200))
  assert all(len(rows) * lengths[rows].max() <= 256 for rows in batches)
  assert sum(len(b) * lengths[b].max() for b in batches) < 1.15 * lengths.sum()


def test_collect_orders_rows_and_refuses_nan():
  table = _table()
  parts = [(rows, table[rows]) for rows in np.array_split(np.random.permutation(40), 7)]
  np.testing.assert_array_equal(collect_rows(iter(parts), 40), table)
  parts[3][1][0, 0] = np.nan
  with pytest.raises(NotFinite, match="lower the learning rate"):
    collect_rows(iter(parts), 40)
