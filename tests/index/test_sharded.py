"""The exact index split over devices, against the exact one."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.index.exact import ExactIndex
from realm_tf.index.sharded import ShardedIndex
from tests.devices import on_gpu
from tests.processes import WITHOUT_GPU

# Three devices exist only in a process that asks for them before it begins.
_SHARDED = """
    import realm_tf, numpy as np, tensorflow as tf
    import contextlib
    from realm_tf.index.exact import ExactIndex
    from realm_tf.index.sharded import ShardedIndex
    from realm_tf.ops import portable
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 3)
    rng = np.random.default_rng(0)
    devices = [f"CPU:{i}" for i in range(3)]
    for ops, rows, k, dtype in ((contextlib.nullcontext, 300, 9, tf.float32),
                                (contextlib.nullcontext, 7, 4, tf.bfloat16),
                                (portable, 41, 20, tf.float32)):
      exact = ExactIndex(dtype=dtype)
      sharded = ShardedIndex(dtype=dtype, devices=devices)
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
          with ops():
            found = find(queries, k, bans)
          for ours, theirs in zip(found, exact.search(queries, k, bans)):
            np.testing.assert_array_equal(ours, theirs)
        rows_wanted = tf.constant(rng.integers(0, rows, [2, 3]))
        np.testing.assert_array_equal(sharded.gather(rows_wanted), exact.gather(rows_wanted))
        np.testing.assert_array_equal(sharded.rows(), exact.rows())
        assert int(sharded.step) == step
    assert len({table.device for table in sharded.tables}) == 3
    print("equal")
    """


def test_sharded_equals_exact():
  completed = subprocess.run([sys.executable, "-c", textwrap.dedent(_SHARDED)], check=False,
                             capture_output=True, text=True,
                             env={**os.environ, **WITHOUT_GPU})
  assert completed.stdout == "equal\n", completed.stderr


def test_sharded_refuses_more_than_is_left():
  index = ShardedIndex(devices=["CPU:0"])
  index.assign(np.ones([6, 4], np.float32), 0)
  with pytest.raises(tf.errors.InvalidArgumentError, match="rows left"):
    index.search(tf.ones([1, 4]), 5, tf.constant([[0, 1]]))




def _of_devices(count, table):
  index = ExactIndex() if not count else ShardedIndex(devices=["CPU:0"] * count)
  index.assign(table, 0)
  return index


@pytest.mark.parametrize("saved_by, restored_by", [(3, 2), (2, 3), (1, 4), (0, 3), (3, 0)])
def test_a_checkpoint_is_restored_by_another_number_of_devices(tmp_path, saved_by,
                                                               restored_by):
  """0 stands for the exact index, which has one table."""
  rng = np.random.default_rng(0)
  table, queries = (rng.normal(size=[rows, 8]).astype("f4") for rows in (41, 5))
  saved = _of_devices(saved_by, table)
  saved.step.assign(7)
  path = tf.train.Checkpoint(index=saved).save(str(tmp_path / "ckpt"))
  restored = _of_devices(restored_by, np.zeros_like(table))
  search = tf.function(restored.search)
  search(tf.constant(queries), 5)
  tf.train.Checkpoint(index=restored).restore(path).assert_consumed()
  assert int(restored.step) == 7
  np.testing.assert_array_equal(restored.rows(), table)
  for found, expected in zip(search(tf.constant(queries), 5),
                             _of_devices(0, table).search(tf.constant(queries), 5)):
    np.testing.assert_array_equal(found, expected)
  names = dict(tf.train.list_variables(path))
  assert names["index/table/.ATTRIBUTES/VARIABLE_VALUE"] == [41, 8]


@on_gpu
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_a_gpu_finds_what_the_host_finds(dtype):
  """Before and after a swap, with bans, and by queries that lie on either."""
  rng = np.random.default_rng(0)
  exact, sharded = ExactIndex(dtype=dtype), ShardedIndex(dtype=dtype, devices=["GPU:0"])
  find = tf.function(sharded.search)
  for step in range(2):
    table, queries = (rng.normal(size=[rows, 64]).astype("f4") for rows in (5000, 9))
    exact.assign(table, step), sharded.assign(table, step)
    assert "GPU:0" in sharded.tables[0].device and "CPU:0" in exact.table.device
    banned = exact.search(tf.constant(queries), 3)[1]
    for bans in (None, banned):
      expected = exact.search(tf.constant(queries), 7, bans)
      for place in ("CPU", "GPU"):
        with tf.device(place):
          found = find(tf.identity(tf.constant(queries)), 7, bans)
        for ours, theirs in zip(found, expected):
          np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(sharded.gather(banned), exact.gather(banned))
