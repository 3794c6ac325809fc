"""The staleness bound, with barriers and a fake embedder: no sleep anywhere."""

import threading

import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.index.embed import collect_rows
from realm_tf.refresh.refresher import NoRefresh, Refresher
from realm_tf.refresh.throttle import Throttle
from tests.processes import LONG


class FakeIndex:
  def __init__(self):
    self.assigned = []

  def prepare(self, embeddings):
    return embeddings

  def assign(self, embeddings, step):
    self.assigned.append((step, embeddings.copy()))


class FakeEmbedder:
  """Embeds when it is let; what it embeds is the weight it was given last."""

  def __init__(self, gated=True):
    self.live = self.copy = 0.0
    self.begun, self.gate = threading.Semaphore(0), threading.Semaphore(0)
    self.threads, self.completed = set(), 0
    self.gated, self.error = gated, None

  def snapshot(self):
    self.copy = self.live

  def embed(self, check):
    self.threads.add(threading.current_thread())
    self.begun.release()
    if self.gated:
      assert self.gate.acquire(timeout=LONG)
    check(1)
    if self.error:
      raise self.error
    self.completed += 1
    return np.full([2, 1], self.copy, np.float32)


def _make(embedder, **settings):
  """An index of step 0, and what refreshes it."""
  index = FakeIndex()
  index.assign(np.zeros([2, 1], np.float32), 0)
  settings = {"index_step": 0, "refresh_every": 10, "max_staleness": 20, **settings}
  return index, Refresher(index, embedder.snapshot, embedder.embed, **settings)


def _finish(refresher, embedder):
  """Lets the running refresh end, and waits until it has."""
  embedder.gate.release()
  refresher._running.exception(timeout=LONG)  # pylint: disable=protected-access


def test_swap_happens_on_the_callers_thread_with_the_weights_of_the_start():
  embedder = FakeEmbedder()
  index, refresher = _make(embedder)
  embedder.live = 1.0
  assert not refresher.update(9) and refresher.update(10) is False  # starts at 10
  embedder.live = 2.0  # training goes on while the worker embeds
  assert not refresher.update(11)
  assert len(index.assigned) == 1
  _finish(refresher, embedder)
  assert len(index.assigned) == 1  # nothing is swapped behind the trainer's back
  assert refresher.update(12)
  assert index.assigned[1][0] == 10 and index.assigned[1][1][0, 0] == 1.0
  assert refresher.staleness(12) == 2
  refresher.close()
  assert threading.current_thread() not in embedder.threads


def test_law_blocks_until_the_index_is_fresh_enough():
  embedder = FakeEmbedder()
  index, refresher = _make(embedder)
  refresher.update(10)
  for step in range(11, 21):
    refresher.update(step)
    assert len(index.assigned) == 1
  passed = threading.Event()

  def trainer():
    refresher.update(21)
    passed.set()

  thread = threading.Thread(target=trainer)
  thread.start()
  assert embedder.begun.acquire(timeout=LONG)
  assert not passed.is_set()
  embedder.gate.release()
  assert passed.wait(LONG)
  thread.join()
  assert refresher.staleness(21) <= 20 and index.assigned[-1][0] == 10
  refresher.close()


def test_law_holds_even_where_the_running_refresh_is_itself_too_old():
  embedder = FakeEmbedder()
  index, refresher = _make(embedder)
  refresher.update(10)
  embedder.gate.release()
  embedder.gate.release()
  refresher.update(40)  # as after a long pause: the refresh of step 10 is too old
  assert refresher.staleness(40) <= 20 and index.assigned[-1][0] == 40
  refresher.close()


def test_warn_goes_on():
  embedder = FakeEmbedder()
  index, refresher = _make(embedder, on_stale="warn")
  refresher.update(10)
  assert refresher.update(35) is False
  assert refresher.staleness(35) == 35 and len(index.assigned) == 1
  embedder.gate.release()
  refresher.close()


def test_only_one_refresh_runs_at_a_time():
  embedder = FakeEmbedder()
  _, refresher = _make(embedder, max_staleness=1000)
  for step in range(10, 60):
    refresher.update(step)
  assert embedder.begun.acquire(timeout=LONG)
  assert not embedder.begun.acquire(blocking=False)
  _finish(refresher, embedder)
  refresher.close()


def test_an_error_in_the_worker_surfaces_in_update():
  embedder = FakeEmbedder()
  index, refresher = _make(embedder)
  embedder.error = ValueError("not finite")
  refresher.update(10)
  _finish(refresher, embedder)
  with pytest.raises(ValueError, match="not finite"):
    refresher.update(11)
  refresher.close()
  assert len(index.assigned) == 1


def test_a_nan_from_the_tower_leaves_the_index_before():
  embedder = FakeEmbedder(gated=False)

  def embed(check):
    rows = np.array([[embedder.copy], [1.0]], np.float32)
    return collect_rows(iter([(np.array([0, 1]), rows)]), 2, check)

  embedder.embed = embed
  index, refresher = _make(embedder, wait=True)
  embedder.live = np.nan
  with pytest.raises(UserError, match="diverged; lower the learning rate"):
    refresher.update(10)
  refresher.close()
  assert len(index.assigned) == 1


def test_close_stops_a_running_refresh_and_joins():
  embedder = FakeEmbedder()
  index, refresher = _make(embedder)
  refresher.update(10)
  assert embedder.begun.acquire(timeout=LONG)
  closer = threading.Thread(target=refresher.close)
  closer.start()
  assert refresher._stop.wait(LONG)  # pylint: disable=protected-access
  embedder.gate.release()
  closer.join(LONG)
  assert not closer.is_alive()
  assert not embedder.completed  # it was given up
  assert not any(thread.is_alive() for thread in embedder.threads)
  assert len(index.assigned) == 1


def test_a_resumed_run_goes_on_with_the_stored_index():
  embedder = FakeEmbedder(gated=False)
  index, refresher = _make(embedder, index_step=20)
  assert not refresher.update(25) and refresher.staleness(25) == 5
  assert len(index.assigned) == 1
  refresher.close()


def test_a_law_stricter_than_the_schedule_is_refused():
  with pytest.raises(ValueError, match="refresh_every"):
    _make(FakeEmbedder(), refresh_every=10, max_staleness=5)


def test_with_wait_every_refresh_is_in_use_at_the_step_that_it_was_due():
  embedder = FakeEmbedder(gated=False)
  index, refresher = _make(embedder, wait=True)
  assert [step for step in range(1, 35) if refresher.update(step)] == [10, 20, 30]
  assert [step for step, _ in index.assigned] == [0, 10, 20, 30]
  assert refresher.staleness(34) == 4
  refresher.close()


def test_nobody_waits_when_training_was_asked_to_stop():
  embedder, stop = FakeEmbedder(), threading.Event()
  index, refresher = _make(embedder, stopping=stop.is_set)
  refresher.update(10)
  stop.set()
  assert not refresher.update(31)  # the bound would wait for ever: the gate is shut
  assert len(index.assigned) == 1
  embedder.gate.release()
  refresher.close()


def test_the_slow_part_of_a_swap_is_the_workers():
  embedder, prepared_by = FakeEmbedder(gated=False), []
  index, refresher = _make(embedder, wait=True)

  def prepare(table):
    prepared_by.append(threading.current_thread())
    return table + 1

  index.prepare = prepare
  assert refresher.update(10)
  refresher.close()
  assert prepared_by and threading.current_thread() not in prepared_by
  assert index.assigned[1][1][0, 0] == 1.0


def test_swaps_are_measured_around_the_assignment():
  order = []

  def swap(assign):
    order.append(len(index.assigned))
    assign()
    order.append(len(index.assigned))

  index, refresher = _make(FakeEmbedder(gated=False), swap=swap, wait=True)
  refresher.update(10)
  refresher.close()
  assert order == [1, 2]
  assert refresher.metrics(12)["index_staleness"] == 2


def test_the_worker_rests_between_batches_for_its_share_of_the_time():
  times, rests = iter([0.0, 10.0, 12.0, 20.0, 23.0, 50.0]), []
  throttle = Throttle(0.25, lambda: next(times), lambda hurry, seconds: rests.append(seconds))
  throttle.begin()  # at 10
  throttle.rest()  # after a batch of 2 seconds; rested until 20
  throttle.rest()  # after one of 3
  assert rests == [6.0, 9.0]


def test_nobody_rests_while_training_waits():
  embedder, resting = FakeEmbedder(gated=False), threading.Event()

  def wait(hurry, seconds):
    del seconds
    resting.set()
    assert hurry.wait(LONG)
    return True

  index, refresher = _make(embedder, throttle=Throttle(0.5, wait=wait))
  refresher.update(10)
  assert resting.wait(LONG) and not refresher.update(20)  # it rests, and nobody waits
  assert refresher.update(21)  # the bound: training waits, so it does not rest
  resting.clear()
  assert not refresher.update(22) and resting.wait(LONG)  # the next one may again
  refresher.close()
  assert [step for step, _ in index.assigned] == [0, 10]


def test_a_frozen_index_stays():
  frozen = NoRefresh(3)
  assert not any(frozen.update(step) for step in range(100))
  assert frozen.metrics(50) == {"index_step": 3, "index_staleness": 47, "index_swaps": 0}
