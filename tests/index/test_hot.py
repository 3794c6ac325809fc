"""Rows that are embedded ahead of the rest, against brute force, without sleeping."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import RealmConfig, RefreshConfig
from realm_tf.errors import UserError
from realm_tf.index.embed import collect
from realm_tf.index.exact import ExactIndex
from realm_tf.index.hot import HotRows, hottest
from realm_tf.index.pace import Pace
from realm_tf.index.refresh import Refresher

_LONG = 30  # seconds: a deadlock fails the test instead of hanging it
_ROWS, _SIZE = 10, 3


class World(Pace):
  """An index whose rows are row number + 100 x the weight that embedded them.

  Each of the two parts of a refresh waits for a permit; `done` says that a part is.
  """

  def __init__(self, share=0.3, **settings):
    super().__init__(1.0)
    self.hurried = lambda: None
    self.weight = self._copy = 0
    self.permits = {part: threading.Semaphore(0) for part in ("hot", "all")}
    self.index = ExactIndex(_ROWS, _SIZE)
    self.hot = HotRows(self.index, _ROWS, share, self._embed_into)
    self.refresher = Refresher(
        self.index, self._snapshot, self._embed_all,
        **{"refresh_every": 10, "max_staleness": 30, "hot": self.hot, "pace": self,
           **settings})
    self.permits["all"].release()
    self.refresher.start(0)

  def hurry(self):
    super().hurry()
    self.hurried()

  def of(self, rows, weight):
    return np.repeat(np.asarray(rows, np.float32)[:, None] + 100 * weight, _SIZE, 1)

  def table(self):
    """The weight that each row of the searched table was embedded by."""
    values = self.index.table.numpy() - self.of(range(_ROWS), 0)
    assert (values == values[:, :1]).all()
    return (values[:, 0] / 100).astype(int).tolist()

  def retrieve(self, *rows):
    tf.function(self.hot.note)(tf.constant(rows, tf.int32))

  def let(self, part):
    """Lets a part of the running refresh end, and waits until it has."""
    running = getattr(self.refresher, {"hot": "_running_hot", "all": "_running"}[part])
    self.permits[part].release()
    running.exception(timeout=_LONG)

  def close(self):
    for permit in self.permits.values():
      permit.release()
    self.refresher.close()

  def _snapshot(self):
    self._copy = self.weight

  def _embed_into(self, rows, table, check):
    assert self.permits["hot"].acquire(timeout=_LONG)
    collect(iter([(rows, self.of(rows, self._copy))]), len(rows), check, table=table)

  def _embed_all(self, check):
    assert self.permits["all"].acquire(timeout=_LONG)
    check(_ROWS)
    return self.of(range(_ROWS), self._copy)


@pytest.fixture(name="world")
def _world():
  world = World()
  yield world
  world.close()


def test_the_hottest_rows_are_those_counted_most():
  rng = np.random.default_rng(0)
  for most in (0, 3, 20, 40):
    counts = rng.integers(0, 5, 40).astype(np.float32)
    expected = sorted(range(40), key=lambda row: (-counts[row], row))[:most]
    assert hottest(counts, most).tolist() == [row for row in expected if counts[row]]


def test_the_hot_rows_are_fresh_first_and_then_all(world):
  world.retrieve(7, 7, 7, 2, 2, 5, 5, 9)
  world.weight = 1
  world.refresher.update(10)
  world.weight = 2  # training goes on
  assert not world.refresher.update(11) and world.table() == [0] * 10
  world.let("hot")
  assert world.table() == [0] * 10  # nothing is swapped behind the trainer's back
  assert not world.refresher.update(12)
  assert world.table() == [0, 0, 1, 0, 0, 1, 0, 1, 0, 0]  # the 3 of most counts
  world.let("all")
  assert world.refresher.update(13) and world.table() == [1] * 10
  np.testing.assert_array_equal(world.index.table, world.of(range(10), 1))


def test_the_step_of_a_mixed_table_is_that_of_its_oldest_row(world):
  world.retrieve(7)
  world.refresher.update(10)
  world.let("hot")
  world.refresher.update(12)
  assert int(world.index.step) == world.refresher.index_step == 0
  metrics = world.refresher.metrics(12)
  assert metrics["index_staleness"] == 12 and world.refresher.swaps == 0
  world.let("all")
  world.refresher.update(13)
  assert int(world.index.step) == world.refresher.index_step == 10
  assert world.refresher.swaps == 1


def test_the_law_counts_the_oldest_row(world):
  world.retrieve(7)
  world.weight = 1
  world.refresher.update(10)
  world.let("hot")
  world.refresher.update(30)
  assert world.table() == [0] * 7 + [1, 0, 0]
  world.hurried = world.permits["all"].release  # the rest comes if training waits for it
  assert world.refresher.update(31)  # 31 - 0 > 30
  assert world.refresher.index_step == 10 and world.table() == [1] * 10


def test_the_mean_staleness_is_of_the_rows_that_were_retrieved(world):
  assert "retrieved_staleness" not in world.refresher.metrics(0)
  world.retrieve(7, 8)
  world.refresher.update(10)
  world.let("hot")
  world.refresher.update(12)
  world.refresher.update(14)
  world.retrieve(7, 8, 1, 1)  # at step 14, of the steps 10, 10, 0, 0
  assert world.refresher.metrics(15)["retrieved_staleness"] == (4 + 4 + 14 + 14) / 4
  world.let("all")
  world.refresher.update(16)
  world.retrieve(7, 8, 1, 1)
  assert world.refresher.metrics(17)["retrieved_staleness"] == 6


def test_what_was_retrieved_long_ago_counts_less(world):
  world.retrieve(*[1] * 6)
  for step in (10, 20):
    world.refresher.update(step)
    if step == 10:
      world.retrieve(*[4] * 4)
    world.let("hot")
    world.let("all")
  np.testing.assert_array_equal(world.hot.counts.numpy()[[1, 4]], [1.5, 2])
  world.refresher.update(21)  # swaps


def test_where_both_parts_are_done_the_whole_is_swapped_alone(world):
  world.retrieve(7)
  world.weight = 1
  world.refresher.update(10)
  world.let("hot")
  world.let("all")
  assert world.refresher.update(11) and world.table() == [1] * 10
  assert not world.refresher.update(12) and world.table() == [1] * 10


def test_nobody_waits_for_the_hot_rows():
  world = World(wait=True)
  world.retrieve(7)
  world.permits["all"].release()
  assert world.refresher.update(10)  # would hang if the hot rows were embedded first
  world.close()


@pytest.mark.parametrize("both_done", [False, True])
def test_an_error_in_the_hot_part_surfaces(world, both_done):
  world.retrieve(7)
  world.weight = np.nan
  world.refresher.update(10)
  world.let("hot")
  if both_done:
    world.weight = 1
    world.let("all")
  with pytest.raises(UserError, match="diverged"):
    world.refresher.update(11)
  assert world.table() == [0] * 10


def test_a_run_that_goes_on_behind_a_mixed_table(world, tmp_path):
  world.retrieve(7, 7, 2)
  world.weight = 1
  world.refresher.update(10)
  world.let("hot")
  world.refresher.update(12)
  saved = tf.train.Checkpoint(index=world.index, retrievals=world.hot.counts,
                              ahead=world.hot.ahead).save(str(tmp_path / "ckpt"))
  other = World()
  tf.train.Checkpoint(index=other.index, retrievals=other.hot.counts,
                      ahead=other.hot.ahead).restore(saved)
  other.refresher.start(12, int(other.index.step))
  assert other.table() == world.table() and other.refresher.staleness(12) == 12
  other.weight = 2
  other.retrieve(5)
  other.refresher.update(12)  # 12 steps after the oldest row: a refresh is due
  other.retrieve(7, 5)  # of the steps 10 and 0
  assert other.refresher.metrics(13)["retrieved_staleness"] == (2 + 12) / 2
  other.let("hot")
  other.refresher.update(13)
  # 7 and 2 count by what was retrieved before the checkpoint, half as much as 5.
  assert other.table() == [0, 0, 2, 0, 0, 2, 0, 2, 0, 0]
  assert other.refresher.index_step == 0
  other.let("all")
  assert other.refresher.update(14) and other.table() == [2] * 10
  assert int(other.index.step) == 12
  other.close()


@pytest.mark.parametrize("mode", ["sync", "job", "rerank", "frozen"])
def test_only_the_thread_embeds_some_rows_first(mode):
  RealmConfig(refresh=RefreshConfig(first=0.1))
  with pytest.raises(UserError, match="config.refresh.first: expected 0 with refresh.mode="):
    RealmConfig(refresh=RefreshConfig(mode=mode, first=0.1))
