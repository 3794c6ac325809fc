import io
import re
import time

import pytest

from realm_tf.progress import RestOf, progress


class _Terminal(io.StringIO):

  def isatty(self):
    return True


def test_log_gets_few_whole_lines():
  log = io.StringIO()
  assert list(progress(range(1000), "embed", "block", file=log)) == list(range(1000))
  lines = log.getvalue().splitlines()
  assert "\r" not in log.getvalue() and 1 <= len(lines) <= 2
  assert lines[-1].startswith("embed: 1000/1000 block, ")
  assert "block/s" in lines[-1] and "left" in lines[-1]


def test_log_shows_what_is_known_of_an_open_end():
  log = io.StringIO()
  assert list(progress(iter("abc"), "read", file=log)) == list("abc")
  assert log.getvalue().splitlines()[-1].startswith("read: 3 step, ")


@pytest.mark.parametrize("file", [io.StringIO(), _Terminal()], ids=["log", "terminal"])
def test_updates_and_values_are_shown(file):
  with progress(4, "train", file=file) as bar:
    for step in range(4):
      bar.update()
      bar.postfix(loss=step + 0.5)
  assert "4/4" in file.getvalue() and "loss=3.5" in file.getvalue()


@pytest.mark.parametrize("file", [io.StringIO(), _Terminal()], ids=["log", "terminal"])
def test_what_was_done_before_counts(file):
  with progress(10, "train", file=file, done_before=7) as bar:
    for _ in range(3):
      bar.update()
  assert "10/10" in file.getvalue() and "3/" not in file.getvalue()


@pytest.mark.parametrize("file", [io.StringIO(), _Terminal()], ids=["log", "terminal"])
def test_a_slow_start_promises_nothing(file, monkeypatch):
  clock = [0.0]
  monkeypatch.setattr(time, "time", lambda: clock[0])
  with progress(100, "train", file=file, slow_start=True) as bar:
    monkeypatch.setattr(bar._bar, "_time", lambda: clock[0])
    for step in range(20):
      clock[0] += 600 if step == 0 else 6
      bar.update()
      if step == 0:
        assert "1/100" in file.getvalue() and "?" in file.getvalue()
  drawn = re.split("[\r\n]+", file.getvalue().strip())
  assert len(drawn) > 5
  # 98 steps of six seconds are left after the second, and fewer from then on.
  assert all(re.search("0[0-9]:[0-9]{2}(?: left|,)", line) for line in drawn[2:]), drawn
  assert "6.00s/" in drawn[-1]  # the mean of all but the first


def test_terminal_redraws_one_line():
  file = _Terminal()
  list(progress(range(3), "embed", file=file))
  assert "\r" in file.getvalue() and file.getvalue().count("\n") == 1


def test_long_work_logs_a_line_each_ten_seconds(monkeypatch):
  clock = [0.0]
  log = io.StringIO()
  bar = progress(100, "train", file=log)
  monkeypatch.setattr(bar._bar, "_time", lambda: clock[0])
  bar._bar.start_t = bar._bar.last_print_t = 0.0
  for step in range(100):  # 10 s for the first 90, then 40 s: slowing must not hide it
    clock[0] += 1 / 9 if step < 90 else 4
    bar.update()
    bar.postfix(loss=1.5)
  bar.close()
  assert 4 <= len(log.getvalue().splitlines()) <= 6


@pytest.mark.parametrize("by_hand", [True, False])
def test_the_last_state_is_one_line_of_a_log(monkeypatch, by_hand):
  clock, log = [0.0], io.StringIO()
  bar = progress(3 if by_hand else range(3), "train", file=log)
  monkeypatch.setattr(bar._bar, "_time", lambda: clock[0])
  bar._bar.start_t = bar._bar.last_print_t = 0.0
  for step in range(3) if by_hand else bar:
    clock[0] += 60
    if by_hand:
      bar.update()
    bar.postfix(loss=step)
  bar.close()
  bar.close()
  lines = log.getvalue().splitlines()
  assert [line.split(" ")[1] for line in lines] == ["1/3", "2/3", "3/3"]
  assert lines[-1].endswith("loss=2")


def test_work_that_raises_still_closes_the_line():
  file = _Terminal()
  with pytest.raises(RuntimeError), progress(4, "train", file=file) as bar:
    bar.update()
    raise RuntimeError
  assert file.getvalue().endswith("\n")


@pytest.mark.parametrize("counts, line", [
    ([0, 3, 4], "embed: 7/7 block, "),
    ([5, 2], "embed (5 of 7 blocks are there): 2/2 block, ")])
def test_of_the_rest_only_that_is_counted(counts, line):
  log = io.StringIO()
  with RestOf(7, "embed", "block", log) as bar:
    for count in counts:
      bar.add(count)
  assert log.getvalue().splitlines()[-1].startswith(line)


@pytest.mark.parametrize("counts", [[], [7]])
def test_where_nothing_is_left_no_work_is_shown(counts):
  log = io.StringIO()
  with RestOf(7, "embed", "block", log) as bar:
    for count in counts:
      bar.add(count)
  assert "7/7" not in log.getvalue()
