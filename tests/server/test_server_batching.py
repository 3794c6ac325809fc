"""Requests that come together run together, and none suffers from another."""

import threading

import pytest

from realm_tf.server.batching import Batcher
from realm_tf.server.server_settings import Batching
from realm_tf.server.statuses import Refused
from tests.processes import LONG


class _Gate:
  """Runs nothing before it is opened; remembers the batches."""

  def __init__(self):
    self.reached, self.opened = threading.Semaphore(0), threading.Event()
    self.batches = []

  def __call__(self, payloads):
    self.reached.release()
    assert self.opened.wait(LONG)
    self.batches.append(list(payloads))
    if any(payload == "bad" for payload in payloads):
      raise ValueError("bad")
    return [f"{payload}!" for payload in payloads]


@pytest.fixture(name="gate")
def _gate():
  return _Gate()


@pytest.fixture(name="make")
def _make(gate):
  batchers = []

  def make(**settings):
    batchers.append(Batcher(Batching(**settings)))
    return batchers[-1]
  yield make
  gate.opened.set()
  for batcher in batchers:
    batcher.close()


def _hold(batcher, gate):
  """A task that keeps the thread busy until the gate opens."""
  first = batcher.submit("own", 1, "first", gate)
  assert gate.reached.acquire(timeout=LONG)
  return first


def test_what_comes_while_a_batch_runs_is_the_next(make, gate):
  batcher = make(max_batch_size=3)
  first = _hold(batcher, gate)
  futures = [batcher.submit("k", 1, name, gate) for name in "abcd"]
  assert batcher.waiting == 4
  gate.opened.set()
  assert [future.result(LONG) for future in [first, *futures]] == [
      "first!", "a!", "b!", "c!", "d!"]
  assert gate.batches == [["first"], ["a", "b", "c"], ["d"]]


def test_other_keys_run_apart_in_the_order_of_the_oldest(make, gate):
  batcher = make(max_batch_size=8)
  _hold(batcher, gate)
  futures = [batcher.submit(key, 1, name, gate)
             for key, name in (("x", "a"), ("y", "b"), ("x", "c"), ("y", "d"))]
  gate.opened.set()
  assert [future.result(LONG) for future in futures] == ["a!", "b!", "c!", "d!"]
  assert gate.batches[1:] == [["a", "c"], ["b", "d"]]


def test_a_large_one_is_a_batch_alone(make, gate):
  batcher = make(max_batch_size=4)
  _hold(batcher, gate)
  futures = [batcher.submit("k", rows, name, gate)
             for rows, name in ((2, "a"), (9, "b"), (2, "c"))]
  gate.opened.set()
  for future in futures:
    future.result(LONG)
  assert gate.batches[1:] == [["a"], ["b"], ["c"]]


def test_a_full_queue_refuses(make, gate):
  batcher = make(max_batch_size=2, max_enqueued_batches=2)
  _hold(batcher, gate)
  for name in "abcd":
    batcher.submit("k", 1, name, gate)
  with pytest.raises(Refused, match="is full") as refused:
    batcher.submit("k", 1, "e", gate)
  assert refused.value.status == 429 and refused.value.headers["retry-after"] == "1"


def test_one_that_fails_fails_alone(make, gate):
  batcher = make(max_batch_size=8)
  _hold(batcher, gate)
  good, bad, other = (batcher.submit("k", 1, name, gate) for name in ("a", "bad", "b"))
  gate.opened.set()
  assert good.result(LONG) == "a!" and other.result(60) == "b!"
  with pytest.raises(ValueError, match="bad"):
    bad.result(LONG)


def test_one_that_was_cancelled_is_left_out(make, gate):
  batcher = make(max_batch_size=8)
  _hold(batcher, gate)
  waiting, cancelled = (batcher.submit("k", 1, name, gate) for name in "ab")
  assert cancelled.cancel()
  gate.opened.set()
  assert waiting.result(LONG) == "a!" and gate.batches[1:] == [["a"]]


def test_closing_finishes_what_was_taken(make, gate):
  batcher = make(batch_timeout_micros=10_000_000)
  gate.opened.set()
  futures = [batcher.submit("k", 1, name, gate) for name in "ab"]
  batcher.close()  # which does not wait for a batch to fill
  assert [future.result(0) for future in futures] == ["a!", "b!"]
  with pytest.raises(Refused, match="stopping"):
    batcher.submit("k", 1, "c", gate)


def test_a_batch_that_waits_is_run_when_it_is_full(make, gate):
  gate.opened.set()
  batcher = make(max_batch_size=2, batch_timeout_micros=600_000_000)
  futures = [batcher.submit("k", 1, name, gate) for name in "ab"]
  assert [future.result(LONG) for future in futures] == ["a!", "b!"]
  assert gate.batches == [["a", "b"]]


def test_threads_run_batches_at_a_time(make, gate):
  batcher = make(num_batch_threads=2)
  futures = [batcher.submit(key, 1, key, gate) for key in "ab"]
  for _ in futures:
    assert gate.reached.acquire(timeout=LONG)  # both are in, and neither is done
  gate.opened.set()
  assert [future.result(LONG) for future in futures] == ["a!", "b!"]
