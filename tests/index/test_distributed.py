"""The index that processes share, against the exact one: two real processes."""

import sys
import textwrap
import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.distribute.processes import num_processes
from realm_tf.errors import UserError
from realm_tf.index.build import rows_to_read
from realm_tf.index.distributed import DistributedIndex, own_rows
from realm_tf.index.exact import ExactIndex
from realm_tf.ops import top_k
from realm_tf.refresh.refresher import Refresher
from tests import tiny
from tests.processes import LONG, as_two_processes, in_two_processes

_TWO = """
    import realm_tf, numpy as np, tensorflow as tf
    from realm_tf.index.distributed import DistributedIndex
    from realm_tf.index.exact import ExactIndex
    from realm_tf.distribute.processes import ProcessGroup, process_index
    from realm_tf.distribute.strategy import make_strategy
    strategy = make_strategy("multi_worker")
    me, rng = process_index(strategy), np.random.default_rng(0)
    for rows, k, dtype in ((301, 9, tf.float32), (7, 4, tf.bfloat16)):
      exact = ExactIndex(dtype=dtype)
      ours = DistributedIndex(strategy, rows, dtype=dtype)
      traces = []

      def find(queries, bans):
        traces.append(1)
        return ours.search(queries, k, bans)

      look_up = tf.function(lambda rows: strategy.run(ours.gather, args=(rows,)))
      on_replica = tf.function(lambda q, b: strategy.run(find, args=(q, b)))
      outside = tf.function(find)
      for step in range(4):
        table = rng.integers(-2, 3, [rows, 8]).astype("f4")  # many ties
        all_queries = rng.integers(-2, 3, [2, 5, 8]).astype("f4")
        if rows == 301:  # the best of all queries lie in one process
          table[:100] = 3 * all_queries.reshape(10, 8)[np.arange(100) % 10]
        exact.assign(table, step), ours.assign(ours.prepare(table), step)
        assert sum(table.shape[0] for table in ours.tables) < 0.6 * rows
        banned = rng.integers(-1, rows, [2, 5, 3]).astype("i4")
        for q, b in zip(all_queries, banned):  # these are missed if forgotten
          b[:, :2] = exact.search(q, 2)[1]
        for search, mine in ((on_replica, me), (outside, 0)):  # outside, all ask the same
          queries = tf.constant(all_queries[mine])
          for bans in (tf.constant(banned[mine]), tf.fill([5, 3], -1)):
            for found, expected in zip(search(queries, bans),
                                       exact.search(queries, k, bans)):
              np.testing.assert_array_equal(found, expected)
        wanted = tf.constant(rng.integers(0, rows, [2, 2, 3]), tf.int32)
        np.testing.assert_array_equal(ours.gather(wanted[0]), exact.gather(wanted[0]))
        np.testing.assert_array_equal(look_up(wanted[me]), exact.gather(wanted[me]))
        np.testing.assert_array_equal(ours.rows(), exact.rows()[slice(*ours.share)])
        assert int(ours.step) == step
      assert len(traces) == 2, traces
    processes = ProcessGroup(strategy)
    assert not processes.all_agree(me == 0) and processes.all_agree(True)
    assert processes.broadcast(7 if me == 0 else 9) == 7
    print("equal")
    """


@pytest.mark.slow
def test_an_index_that_two_processes_share_equals_exact():
  processes = in_two_processes([sys.executable, "-c", textwrap.dedent(_TWO)])
  try:
    for process in processes:
      log, _ = process.communicate(timeout=LONG)
      assert process.returncode == 0 and log.endswith("equal\n"), log
  finally:  # one that failed leaves the other waiting
    for process in processes:
      process.kill()


def test_without_a_strategy_there_is_one_process_that_holds_all(tmp_path):
  alone = tf.distribute.get_strategy()
  assert num_processes(alone) == 1
  config = tiny.make_config(tmp_path, index__kind="sharded")
  assert rows_to_read(config, 41, alone) == slice(0, 41)


def test_two_replicas_of_one_process_equal_exact(mirrored):
  rng = np.random.default_rng(0)
  table = rng.integers(-2, 3, [41, 8]).astype(np.float32)
  queries = rng.integers(-2, 3, [2, 5, 8]).astype(np.float32)
  exact, distributed = ExactIndex(), DistributedIndex(mirrored)
  exact.assign(table, 3)
  distributed.assign(distributed.prepare(table), 3)
  assert num_processes(mirrored) == 1 and own_rows(41, mirrored) == (0, 41)
  banned = exact.search(queries.reshape(10, 8), 2)[1].numpy().reshape(2, 5, 2)

  @tf.function
  def search():
    def on_replica():
      replica = tf.distribute.get_replica_context().replica_id_in_sync_group
      return distributed.search(
          tf.constant(queries)[replica], 6, tf.constant(banned)[replica])
    return mirrored.run(on_replica)

  scores, rows = search()
  for replica in range(2):
    expected = exact.search(queries[replica], 6, banned[replica])
    np.testing.assert_array_equal(scores.values[replica], expected[0])
    np.testing.assert_array_equal(rows.values[replica], expected[1])
  np.testing.assert_array_equal(distributed.search(tf.constant(queries[0]), 6)[1],
                                exact.search(queries[0], 6)[1])


def test_outside_of_replicas_each_row_is_searched_once(mirrored, monkeypatch):
  products, find = [], top_k.top_k_inner_product

  def counted(queries, table, k):
    products.append(queries.shape[0] * table.shape[0])
    return find(queries, table, k)

  table = np.random.default_rng(0).integers(-2, 3, [41, 8]).astype(np.float32)
  exact, distributed = ExactIndex(), DistributedIndex(mirrored)
  for index in (exact, distributed):
    index.assign(index.prepare(table), 0)
  queries = tf.constant(table[:5] + table[5:10])
  exact_results = exact.search(queries, 6)
  monkeypatch.setattr(top_k, "top_k_inner_product", counted)
  for result, expected in zip(distributed.search(queries, 6), exact_results):
    np.testing.assert_array_equal(result, expected)
  assert sum(products) == 5 * 41 and len(products) == 2


class _Index:
  def __init__(self):
    self.steps = []

  def prepare(self, embeddings):
    return embeddings

  def assign(self, prepared, step):
    self.steps.append(step)


def _shared_refresher(processes, embed):
  return Refresher(_Index(), lambda: None, embed, index_step=0, refresh_every=10,
                   max_staleness=20, processes=processes)


def test_processes_that_share_an_index_swap_at_the_same_step():
  slow = threading.Event()

  def train(member):
    def embed(check):
      if member.number and not slow.wait(LONG):
        raise TimeoutError
      return np.zeros([2, 1], np.float32)

    refresher = _shared_refresher(member, embed)
    swapped = []
    for step in range(10, 18):
      if member.number and step == 15:
        slow.set()
        refresher._running.result(LONG)  # pylint: disable=protected-access
      if refresher.update(step):
        swapped.append(step)
    refresher.close()
    return swapped

  assert as_two_processes(train) == [[15], [15]]  # the fast one was ready at 11


@pytest.mark.parametrize("fails", [0, 1])
def test_where_one_process_cannot_embed_its_share_none_goes_on(fails):
  def train(member):
    def embed(check):
      if member.number == fails:
        raise UserError("not finite")
      return np.zeros([2, 1], np.float32)

    refresher = _shared_refresher(member, embed)
    refresher.update(10)
    refresher._running.exception(LONG)  # pylint: disable=protected-access
    refresher.update(11)

  errors = [str(error) for error in as_two_processes(train)]
  assert errors[fails] == "not finite"
  assert "another process could not make its share of the index" in errors[1 - fails]
