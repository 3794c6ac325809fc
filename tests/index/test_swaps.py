"""Swaps of an index: what they cost, and what they change."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import IndexConfig
from realm_tf.index.exact import ExactIndex
from realm_tf.index.scann import ScannIndex
from realm_tf.index.sharded import ShardedIndex
from realm_tf.refresh.monitor import SwapMonitor, overlap
from tests.index.clustered import clustered, exact_index


def _resident_bytes():
  with open("/proc/self/statm", encoding="ascii") as file:
    return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize("kind", [
    "exact", "sharded", pytest.param("scann", marks=pytest.mark.slow)])
def test_swaps_never_retrace_and_never_leak(kind):
  rows, size = 4000, 64  # a table is 1 MB
  config = IndexConfig(leaves=8, searched_leaves=6)
  index = {"exact": ExactIndex, "sharded": lambda: ShardedIndex(devices=["CPU:0"] * 2),
           "scann": lambda: ScannIndex(config=config)}[kind]()
  traces = []

  def best(queries):
    traces.append(1)
    return index.search(queries, 5)[1]

  tables = [clustered(rows, seed, size) for seed in range(4)]
  expected = [exact_index(table).search(tables[0][:20], 5)[1].numpy() for table in tables]
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
  index = exact_index(table)
  queries = [np.eye(4, dtype=np.float32)[:2]]
  monitor = SwapMonitor(index, lambda: queries[0], 1)
  monitor.swap(lambda: index.assign(table[[1, 0, 2, 3]], 1))  # both answers change
  assert monitor.metrics == {"index_churn": 1.0, "stale_index_recall": 0.0}
  queries[0] = np.eye(4, dtype=np.float32)[[2, 1]]  # the first query moved, rows do not
  monitor.swap(lambda: index.assign(table[[1, 0, 2, 3]], 2))
  assert monitor.metrics == {"index_churn": 0.5, "stale_index_recall": 1.0}
