"""Processes that parse: what takes too long or too much costs only itself."""

import os
import signal
import time

import pytest

from realm_tf.corpus.readers.children import Children
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.parallel import in_order

_HERE = "tests.corpus.test_children"


def upper(data):
  return data.decode().upper()


def fail(data):
  raise Unreadable("odd", data.decode())


def break_down(data):
  raise ZeroDivisionError(data.decode())


def loop(data):
  while True:
    pass


def grow(data):
  return len([bytes(1 << 24) for _ in range(1000)])


def die(data):
  os.kill(os.getpid(), signal.SIGSEGV)


def chatter(data):
  print("noise")
  os.write(1, b"noise\n")
  return "quiet"


def deep(data):
  return deep(data)


def test_values_come_back(tmp_path, monkeypatch):
  (tmp_path / "json.py").write_text("1 / 0")
  monkeypatch.chdir(tmp_path)  # of users' files, which are no modules of ours
  with Children() as children:
    assert children.call(f"{_HERE}:upper", "é\n\0x".encode(), 99) == "É\n\0X"
    assert children.call(f"{_HERE}:upper", b"", 99) == ""
    assert children.call(f"{_HERE}:chatter", b"", 99) == "quiet"


@pytest.mark.parametrize("function, seconds, reason", [
    ("fail", 99, "odd"), ("break_down", 99, "damaged"), ("deep", 99, "nested too deep"),
    ("loop", 0.2, "takes too long"), ("grow", 99, "takes more than 2 GiB of memory"),
    ("die", 99, "takes more than 2 GiB of memory")])
def test_a_failure_is_told_and_the_next_is_parsed(function, seconds, reason):
  with Children() as children:
    for _ in range(2):
      with pytest.raises(Unreadable) as caught:
        children.call(f"{_HERE}:{function}", b"x", seconds)
      assert caught.value.reason == reason
      assert children.call(f"{_HERE}:upper", b"a", 99) == "A"


def test_order_is_kept_by_any_number_of_threads():
  def slow_first(item):
    time.sleep(0.05 if item == 0 else 0)  # a nudge: the order must hold in any case
    return item

  assert list(in_order(slow_first, range(50))) == list(range(50))


def test_it_reads_only_a_little_ahead():
  taken = []
  results = in_order(lambda item: item, (taken.append(i) or i for i in range(10_000)))
  assert next(results) == 0
  assert len(taken) < 200
  results.close()


def test_an_error_of_one_item_is_raised_in_its_turn():
  def fails(item):
    if item == 3:
      raise KeyError(item)
    return item

  results = in_order(fails, range(9))
  assert [next(results) for _ in range(3)] == [0, 1, 2]
  with pytest.raises(KeyError):
    next(results)
