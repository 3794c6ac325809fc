# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""An index with a shadow: same answers, whatever happens to table and shadow."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.index.exact import ExactIndex


def _vectors(seed, rows=3000, depth=40):
  return np.random.default_rng(seed).normal(size=(rows, depth)).astype(np.float32)


def _best(queries, table, k):
  scores = np.asarray(queries, np.float64) @ np.asarray(table, np.float64).T
  return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _uses_shadow(index):
  _, (codes, _) = index._shadow.read()
  return len(codes) > 0


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("batch", [1, 4, 9])
def test_swaps_keep_table_and_shadow_together(dtype, batch):
  index = ExactIndex(dtype=dtype, shadow=True)
  queries = _vectors(99, batch)
  search = tf.function(lambda queries: index.search(queries, 7)[1])
  for seed in range(3):
    table = tf.cast(_vectors(seed), dtype)
    index.assign(table, seed)
    assert _uses_shadow(index)
    np.testing.assert_array_equal(search(queries), _best(queries, table, 7))


def test_the_first_table_has_a_shadow():
  table, queries = tf.constant(_vectors(0)), _vectors(99, 1)
  index = ExactIndex(shadow=True).index(table)
  assert _uses_shadow(index)
  np.testing.assert_array_equal(index.search(queries, 3)[1], _best(queries, table, 3))


def test_threads_never_see_the_shadow_of_another_table():
  tables = [_vectors(0), _vectors(1)]
  index, queries = ExactIndex(shadow=True), _vectors(99, 2)
  expected = [_best(queries, table, 5).tolist() for table in tables]
  search = tf.function(lambda: index.search(queries, 5)[1])
  index.assign(tables[0], 0)
  search()
  start, wrong = threading.Barrier(4), []

  def ask():
    start.wait()
    for _ in range(60):
      rows = search().numpy().tolist()
      if rows not in expected:
        wrong.append(rows)

  threads = [threading.Thread(target=ask) for _ in range(3)]
  for thread in threads:
    thread.start()
  start.wait()
  for i in range(60):
    index.assign(tables[i % 2], i)
  for thread in threads:
    thread.join()
  assert not wrong


def test_half_a_swap_is_searched_without_the_shadow():
  """What a search may see between two assignments, held still."""
  index, queries, new = ExactIndex(shadow=True), _vectors(99, 1), _vectors(1)
  index.assign(_vectors(0), 0)
  index._shadow.version.assign(0)
  index.table.assign(new)
  assert not _uses_shadow(index)
  np.testing.assert_array_equal(index.search(queries, 3)[1], _best(queries, new, 3))


def test_a_restored_table_is_not_searched_by_an_older_shadow(tmp_path):
  index, queries = ExactIndex(shadow=True), _vectors(99, 1)
  checkpoint = tf.train.Checkpoint(index=index)
  index.assign(_vectors(0), 0)
  path = checkpoint.save(str(tmp_path / "index"))
  saved = {name for name, _ in tf.train.list_variables(path)}
  assert not any("codes" in name or "bounds" in name for name in saved)
  index.assign(_vectors(1), 1)
  checkpoint.restore(path)
  assert not _uses_shadow(index)
  np.testing.assert_array_equal(index.search(queries, 3)[1],
                                _best(queries, _vectors(0), 3))


def test_a_shadow_that_is_saved_is_searched(tmp_path):
  """One of another table makes the wrong answer, so it is what is read."""
  table = np.diag(np.arange(1, 65, dtype=np.float32))
  index = ExactIndex().index(table).shadowed()
  module = tf.Module()
  module.index = index
  module.find = tf.function(lambda queries: index.search(queries, 1)[1],
                            input_signature=[tf.TensorSpec([1, 64])])
  tf.saved_model.save(module, str(tmp_path / "right"))
  index._shadow.codes.assign(index._shadow.codes[::-1])
  index._shadow.bounds.assign(index._shadow.bounds[:, ::-1])
  tf.saved_model.save(module, str(tmp_path / "wrong"))
  right, wrong = (tf.saved_model.load(str(tmp_path / name)) for name in ("right", "wrong"))
  assert right.find(tf.ones([1, 64])).numpy() == 63
  assert wrong.find(tf.ones([1, 64])).numpy() != 63
