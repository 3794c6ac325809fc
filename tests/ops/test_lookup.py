"""What is looked up row by row is not copied when all of it is read."""

import numpy as np
import tensorflow as tf

from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.tables import Table
from realm_tf.index.exact import ExactIndex
from realm_tf.ops.lookup import look_up
from tests.devices import on_gpu


def _is_copied(variable: tf.Variable) -> bool:
  one, other = (memoryview(variable.read_value()) for _ in range(2))
  return not np.shares_memory(np.asarray(one), np.asarray(other))


def test_rows_are_those_of_gather_and_nothing_is_copied():
  with tf.device("CPU"):  # what lies on a GPU is always copied to be compared
    table = tf.Variable(np.arange(12.0).reshape([4, 3]))
  look = tf.function(lambda rows: look_up(table, rows))
  rows = tf.constant([[3, 0], [1, 1]])
  np.testing.assert_array_equal(look(rows), table.numpy()[rows.numpy()])
  assert not _is_copied(table)
  tf.gather(table, rows)  # what is kept from happening
  assert _is_copied(table)


def test_it_stays_where_the_table_lies():
  with tf.device("CPU"):
    table = tf.Variable([1.0, 2.0])
  graph = tf.function(lambda rows: look_up(table, rows)).get_concrete_function(
      tf.TensorSpec([None], tf.int32)).graph
  devices = [op.device for op in graph.get_operations() if op.type.startswith("Gather")]
  assert devices == ["/device:CPU:0"]  # of any job: an export is loaded by another


@on_gpu
def test_a_table_of_the_host_is_not_moved_to_a_gpu():
  with tf.device("CPU"):
    table = tf.Variable(tf.ones([1 << 20, 64]))  # 256 MB
  look = tf.function(lambda rows: look_up(table, rows) * 2)
  tf.config.experimental.reset_memory_stats("GPU:0")
  before = tf.config.experimental.get_memory_info("GPU:0")["current"]
  assert (look(tf.range(10)).numpy() == 2).all()
  used = tf.config.experimental.get_memory_info("GPU:0")["peak"] - before
  assert used < 1 << 26


def test_an_index_is_searched_and_looked_up_without_a_copy():
  index = ExactIndex()
  index.assign(tf.eye(8), 0)
  index.gather(tf.constant([[1, 2]]))
  assert index.search(tf.eye(8)[:1], 1)[1].numpy().tolist() == [[0]]
  assert not _is_copied(index.table)


def test_so_are_ragged_rows():
  table = Table(Ragged.from_rows([np.array([1, 2]), np.array([3])]), "rows")
  rows = tf.constant([1, 0])
  assert table.at(rows, tf.constant([0, 1])).numpy().tolist() == [3, 2]
  assert table.lengths(rows).numpy().tolist() == [1, 2]
  assert table.gather(rows).to_list() == [[3], [1, 2]]
  assert not _is_copied(table.values) and not _is_copied(table.splits)
