"""ScaNN and sharded indexes against the exact one and brute force."""

import functools
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import IndexConfig
from realm_tf.errors import UserError
from realm_tf.index.exact import ExactIndex
from realm_tf.index.scann import ScannIndex, ScannInGraph, defaults
from realm_tf.index.sharded import ShardedIndex
from realm_tf.index.top_k import top_k_inner_product, top_k_inner_product_portable
from realm_tf.refresh.monitor import SwapMonitor, overlap


def _clustered(rows, seed=0, size=16, clusters=30):
  """Rows about the same few centres, whatever the seed."""
  centres = 3 * np.random.default_rng(99).normal(size=[clusters, size])
  rng = np.random.default_rng(seed)
  spread = rng.normal(size=[rows, size])
  return (centres[rng.integers(clusters, size=rows)] + spread).astype(np.float32)


def _exact(table):
  index = ExactIndex(*table.shape)
  index.assign(table, 0)
  return index


def _bans(exact, queries, width=3):
  """The best row of each query, a filler, and a row out of the way."""
  banned = np.full([len(queries), width], -1, np.int32)
  banned[:, 0] = exact.search(queries, 1)[1].numpy()[:, 0]
  banned[:, 2] = 5
  return banned


# Three devices exist only in a process that asks for them before it begins.
_SHARDED = """
    import realm_tf, numpy as np, tensorflow as tf
    from realm_tf.index.exact import ExactIndex
    from realm_tf.index.sharded import ShardedIndex
    from realm_tf.index.top_k import top_k_inner_product, top_k_inner_product_portable
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 3)
    rng = np.random.default_rng(0)
    devices = [f"CPU:{i}" for i in range(3)]
    for search, rows, k, dtype in ((top_k_inner_product, 300, 9, tf.float32),
                                   (top_k_inner_product, 7, 4, tf.bfloat16),
                                   (top_k_inner_product_portable, 41, 20, tf.float32)):
      exact = ExactIndex(rows, 8, dtype)
      sharded = ShardedIndex(rows, 8, devices, dtype, search)
      find = tf.function(sharded.search)
      for step in range(3):
        table = rng.integers(-2, 3, [rows, 8]).astype("f4")  # many ties
        queries = tf.constant(rng.integers(-2, 3, [5, 8]).astype("f4"))
        if rows == 300:  # the best of each query all lie on one device
          table[:60] = 3 * queries.numpy()[np.arange(60) % 5]
        exact.assign(table, step), sharded.assign(table, step)
        banned = rng.integers(-1, rows, [5, 3]).astype("i4")
        banned[:, :2] = exact.search(queries, 2)[1]  # these are missed if forgotten
        for bans in (None, tf.constant(banned)):
          for ours, theirs in zip(find(queries, k, bans), exact.search(queries, k, bans)):
            np.testing.assert_array_equal(ours, theirs)
        rows_wanted = tf.constant(rng.integers(0, rows, [2, 3]))
        np.testing.assert_array_equal(sharded.gather(rows_wanted), exact.gather(rows_wanted))
        np.testing.assert_array_equal(sharded.rows(), exact.rows())
        assert int(sharded.step) == step
    assert len({table.device for table in sharded.tables}) == 3
    print("equal")
    """


def test_sharded_equals_exact():
  done = subprocess.run([sys.executable, "-c", textwrap.dedent(_SHARDED)], check=False,
                        capture_output=True, text=True)
  assert done.stdout == "equal\n", done.stderr


def test_sharded_refuses_more_than_is_left():
  index = ShardedIndex(6, 4, ["CPU:0"])
  index.assign(np.ones([6, 4], np.float32), 0)
  with pytest.raises(tf.errors.InvalidArgumentError, match="rows left"):
    index.search(tf.ones([1, 4]), 5, tf.constant([[0, 1]]))


@pytest.fixture(name="scann", scope="module")
def _scann():
  table, queries = _clustered(4000), _clustered(64, 1)
  index = ScannIndex(*table.shape, IndexConfig(kind="scann"))
  index.measure_with(queries)
  index.assign(index.prepare(table), 3)
  return index, table, queries


def test_scann_finds_nearly_all_and_knows_it(scann):
  index, table, queries = scann
  rows = index.search(tf.constant(queries), 10)[1].numpy()
  order = np.argsort(-(queries @ table.T), axis=1, kind="stable")[:, :10]
  recall = (rows[:, :, None] == order[:, None]).any(1).mean()
  assert recall > 0.9 and index.recall == pytest.approx(recall)
  assert not index.is_exact() and int(index.step) == 3


def test_scann_scores_are_exact_and_descend(scann):
  index, table, queries = scann
  scores, rows = (value.numpy() for value in index.search(tf.constant(queries), 10))
  np.testing.assert_allclose(
      scores, np.einsum("bd,bkd->bk", queries, table[rows]), rtol=1e-5)
  assert (np.diff(scores) <= 0).all()
  assert all(len(set(line)) == 10 for line in rows)


def test_scann_passes_over_banned_rows(scann):
  index, table, queries = scann
  exact = _exact(table)
  banned = _bans(exact, queries)
  _, rows = index.query_with_exclusions(tf.constant(queries), tf.constant(banned), k=10)
  assert rows.shape == [64, 10]
  assert not (rows.numpy()[:, :, None] == banned[:, None]).any()
  theirs = exact.search(queries, 10, banned)[1].numpy()
  assert (rows.numpy()[:, :, None] == theirs[:, None]).any(2).mean() > 0.9


_LOADED = """
    import json, sys
    import numpy as np, tensorflow as tf
    from scann.scann_ops.py import scann_ops
    queries, banned = (tf.constant(np.load(f"{sys.argv[1]}/{name}.npy"))
                       for name in ("queries", "banned"))
    models = [tf.saved_model.load(f"{sys.argv[1]}/{name}") for name in ("one", "other")]
    found = [[value.numpy().tolist() for value in model.find(queries, banned)]
             for model in models]
    assert "realm_tf" not in sys.modules
    print(json.dumps(found))
    """


def _ten_best(index, queries, banned):
  return index.search(queries, 10, banned)


def test_scann_in_a_saved_model_finds_what_the_live_one_does(scann, tmp_path):
  index, table, queries = scann
  other = ScannIndex(*table.shape, index.config)
  other.assign(other.prepare(table[::-1].copy()), 4)
  banned = _bans(_exact(table), queries)
  np.save(tmp_path / "queries.npy", queries)
  np.save(tmp_path / "banned.npy", banned)
  for name, live in (("one", index), ("other", other)):
    served = tf.Module()
    served.index = ScannInGraph(live, live.config, top_k_inner_product_portable)
    assert int(served.index.step) == int(live.step)
    served.find = tf.function(functools.partial(_ten_best, served.index), input_signature=[
        tf.TensorSpec([None, 16]), tf.TensorSpec([None, 3], tf.int32)])
    tf.saved_model.save(served, str(tmp_path / name))
  done = subprocess.run([sys.executable, "-c", textwrap.dedent(_LOADED), tmp_path],
                        check=False, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  for live, (scores, rows) in zip((index, other), json.loads(done.stdout.splitlines()[-1])):
    theirs = [value.numpy() for value in live.search(
        tf.constant(queries), 10, tf.constant(banned))]
    assert overlap(np.array(rows), theirs[1]) > 0.95  # each was trained for itself
    np.testing.assert_allclose(np.array(scores, np.float32)[:, 0], theirs[0][:, 0], rtol=1e-6)


def test_a_graph_makes_its_scann_searcher_once():
  table = _clustered(4000)
  served = ScannInGraph(_exact(table), IndexConfig(kind="scann"), top_k_inner_product)
  find = tf.function(lambda queries: served.search(queries, 5)[1])
  queries = tf.constant(_clustered(64, 1))
  for step in range(300):
    if step == 50:
      before = _resident_bytes()
    find(queries)
  assert _resident_bytes() - before < 5e6  # a searcher is 50 kB, 250 of them 12 MB


def test_scann_searches_exactly_where_it_finds_too_few():
  table, queries = _clustered(4000), _clustered(4, 1)
  index = ScannIndex(*table.shape, IndexConfig(kind="scann", searched_leaves=1))
  index.assign(index.prepare(table), 0)
  _, rows = index.search(tf.constant(queries), 3000)  # no leaf has as many
  np.testing.assert_array_equal(rows, _exact(table).search(queries, 3000)[1])


def test_scann_on_a_few_rows():
  table = _clustered(12)
  index = ScannIndex(12, 16, IndexConfig(kind="scann"))
  index.assign(index.prepare(table), 0)
  np.testing.assert_array_equal(index.search(tf.constant(table), 12)[1],
                                _exact(table).search(table, 12)[1])


def test_less_than_min_recall_is_an_error():
  table = np.random.default_rng(0).normal(size=[4000, 16]).astype(np.float32)
  config = IndexConfig(kind="scann", searched_leaves=1, rescored=10, min_recall=0.9)
  index = ScannIndex(4000, 16, config)
  index.measure_with(table[:50])
  with pytest.raises(UserError, match="less than min_recall=0.9; raise index.searched_l"):
    index.prepare(table)


def test_defaults_grow_with_the_corpus():
  one, million = (defaults(IndexConfig(), rows) for rows in (500, 1_000_000))
  assert (one.leaves, one.searched_leaves, one.rescored) == (1, 1, 300)
  assert (million.leaves, million.searched_leaves) == (1000, 200)
  assert defaults(IndexConfig(leaves=7, searched_leaves=2), 500).leaves == 7


def _resident_bytes():
  with open("/proc/self/statm", encoding="ascii") as file:
    return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize("kind", ["exact", "scann", "sharded"])
def test_swaps_never_retrace_and_never_leak(kind):
  rows, size = 4000, 64  # a table is 1 MB
  config = IndexConfig(leaves=8, searched_leaves=6)
  index = {"exact": lambda: ExactIndex(rows, size),
           "sharded": lambda: ShardedIndex(rows, size, ["CPU:0"] * 2),
           "scann": lambda: ScannIndex(rows, size, config)}[kind]()
  traces = []

  def best(queries):
    traces.append(1)
    return index.search(queries, 5)[1]

  tables = [_clustered(rows, seed, size) for seed in range(4)]
  expected = [_exact(table).search(tables[0][:20], 5)[1].numpy() for table in tables]
  index.assign(index.prepare(tables[0]), 0)
  live = tf.function(best, input_signature=[tf.TensorSpec([None, size])])
  queries = tf.constant(tables[0][:20])
  data = tf.data.Dataset.from_tensors(queries).map(best).repeat()  # opened once, live
  options = tf.data.Options()
  options.experimental_optimization.inject_prefetch = False  # else it runs ahead of swaps
  stream = iter(data.with_options(options))
  for step in range(110):
    if step == 10:
      before = _resident_bytes()
    index.assign(index.prepare(tables[step % 4]), step)
    for rows_found in (live(queries), next(stream)):
      same = overlap(rows_found.numpy(), expected[step % 4])
      assert same == 1 if kind != "scann" else same > 0.8
  assert len(traces) == 2
  assert _resident_bytes() - before < 25e6  # a hundred tables would be 100 MB


def test_monitor_tells_churn_from_staleness():
  table = np.eye(4, dtype=np.float32)
  index = _exact(table)
  queries = [np.eye(4, dtype=np.float32)[:2]]
  monitor = SwapMonitor(index, lambda: queries[0], 1)
  monitor.swap(lambda: index.assign(table[[1, 0, 2, 3]], 1))  # both answers change
  assert monitor.metrics == {"index_churn": 1.0, "stale_index_recall": 0.0}
  queries[0] = np.eye(4, dtype=np.float32)[[2, 1]]  # the first query moved, rows do not
  monitor.swap(lambda: index.assign(table[[1, 0, 2, 3]], 2))
  assert monitor.metrics == {"index_churn": 0.5, "stale_index_recall": 1.0}
