"""ScaNN against the exact index and brute force."""

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
from realm_tf.index.scann import ScannIndex, ScannInGraph
from realm_tf.index.scann_searcher import defaults
from realm_tf.ops import portable
from realm_tf.refresh.monitor import overlap
from tests.index.clustered import clustered, exact_index


def _bans(exact, queries, width=3):
  """The best row of each query, a filler, and a row out of the way."""
  banned = np.full([len(queries), width], -1, np.int32)
  banned[:, 0] = exact.search(queries, 1)[1].numpy()[:, 0]
  banned[:, 2] = 5
  return banned


@pytest.fixture(name="scann", scope="module")
def _scann():
  table, queries = clustered(4000), clustered(64, 1)
  index = ScannIndex(config=IndexConfig(kind="scann"))
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
  exact = exact_index(table)
  banned = _bans(exact, queries)
  _, rows = index.query_with_exclusions(tf.constant(queries), tf.constant(banned), k=10)
  assert rows.shape == [64, 10]
  assert not (rows.numpy()[:, :, None] == banned[:, None]).any()
  exact_rows = exact.search(queries, 10, banned)[1].numpy()
  assert (rows.numpy()[:, :, None] == exact_rows[:, None]).any(2).mean() > 0.9


_LOADED = """
    import json, sys
    import numpy as np, tensorflow as tf
    from scann.scann_ops.py import scann_ops
    queries = tf.constant(np.load(f"{sys.argv[1]}/queries.npy"))
    models = {name: tf.saved_model.load(f"{sys.argv[1]}/{name}") for name in ("one", "other")}
    found = [[value.numpy().tolist()
              for value in model.find(queries, np.load(f"{sys.argv[1]}/{name}.npy"))]
             for name, model in models.items()]
    assert "realm_tf" not in sys.modules
    print(json.dumps(found))
    """


def _ten_best(index, queries, banned):
  return index.search(queries, 10, banned)


def test_scann_in_a_saved_model_finds_what_the_live_one_does(scann, tmp_path):
  """The searcher of each is trained for itself, and may lose what the other finds."""
  index, table, queries = scann
  other_table = table[::-1].copy()
  other = ScannIndex(config=index.config)
  other.assign(other.prepare(other_table), 4)
  np.save(tmp_path / "queries.npy", queries)
  asked = []
  for name, live, rows in (("one", index, table), ("other", other, other_table)):
    asked.append((live, rows, _bans(exact_index(rows), queries)))
    np.save(tmp_path / f"{name}.npy", asked[-1][-1])
    served = tf.Module()
    served.index = ScannInGraph(live, live.config)
    assert int(served.index.step) == int(live.step)
    served.find = tf.function(functools.partial(_ten_best, served.index), input_signature=[
        tf.TensorSpec([None, 16]), tf.TensorSpec([None, 3], tf.int32)])
    with portable():
      tf.saved_model.save(served, str(tmp_path / name))
  completed = subprocess.run([sys.executable, "-c", textwrap.dedent(_LOADED), tmp_path],
                             check=False, capture_output=True, text=True)
  assert completed.returncode == 0, completed.stderr
  for (live, rows, banned), found in zip(
      asked, json.loads(completed.stdout.splitlines()[-1]), strict=True):
    scores, best = np.array(found[0], np.float32), np.array(found[1])
    np.testing.assert_allclose(
        scores, np.einsum("bd,bkd->bk", queries, rows[best]), rtol=1e-5)
    assert (np.diff(scores) <= 0).all() and all(len(set(line)) == 10 for line in best)
    assert not (best[:, :, None] == banned[:, None]).any()
    exact = exact_index(rows).search(queries, 10, banned)[1].numpy()
    assert (best[:, 0] == exact[:, 0]).mean() > 0.9
    assert overlap(best, exact) > 0.9
    assert overlap(best, live.search(tf.constant(queries), 10, banned)[1].numpy()) > 0.9


def test_a_graph_makes_its_scann_searcher_once():
  table = clustered(4000)
  served = ScannInGraph(exact_index(table), IndexConfig(kind="scann"))
  find = tf.function(lambda queries: served.search(queries, 5)[1])
  queries = tf.constant(clustered(64, 1))
  for step in range(300):
    if step == 50:
      before = _resident_bytes()
    find(queries)
  assert _resident_bytes() - before < 5e6  # a searcher is 50 kB, 250 of them 12 MB


def test_scann_searches_exactly_where_it_finds_too_few():
  table, queries = clustered(4000), clustered(4, 1)
  index = ScannIndex(config=IndexConfig(kind="scann", searched_leaves=1))
  index.assign(index.prepare(table), 0)
  _, rows = index.search(tf.constant(queries), 3000)  # no leaf has as many
  np.testing.assert_array_equal(rows, exact_index(table).search(queries, 3000)[1])


def test_scann_on_a_few_rows():
  table = clustered(12)
  index = ScannIndex(config=IndexConfig(kind="scann"))
  index.assign(index.prepare(table), 0)
  np.testing.assert_array_equal(index.search(tf.constant(table), 12)[1],
                                exact_index(table).search(table, 12)[1])


def test_less_than_min_recall_is_an_error():
  table = np.random.default_rng(0).normal(size=[4000, 16]).astype(np.float32)
  config = IndexConfig(kind="scann", searched_leaves=1, rescored=10, min_recall=0.9)
  index = ScannIndex(config=config)
  index.measure_with(table[:50])
  with pytest.raises(UserError, match="less than min_recall=0.9; raise index.searched_l"):
    index.prepare(table)


def test_defaults_grow_with_the_corpus():
  small, million = (defaults(IndexConfig(), rows) for rows in (500, 1_000_000))
  assert (small.leaves, small.searched_leaves, small.rescored) == (1, 1, 300)
  assert (million.leaves, million.searched_leaves) == (1000, 200)
  assert defaults(IndexConfig(leaves=7, searched_leaves=2), 500).leaves == 7


def _resident_bytes():
  with open("/proc/self/statm", encoding="ascii") as file:
    return int(file.read().split()[1]) * 4096


