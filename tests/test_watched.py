# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The log of `make test-gpu` tells what was at work, however pytest ends."""

import os
import pathlib
import re
import select
import signal
import subprocess
import sys

import pytest

from tests.processes import LONG

_ROOT = pathlib.Path(__file__).parents[1]
_STALLED = 5  # that a test may take, the others too on a busy machine
_TESTS = """
import ctypes, os
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.mark.skip
def test_left_out(): pass
def test_stalls():
  if "STALLS" in os.environ: open(os.environ["STALLS"], "w").close()
  print(ctypes.CDLL(None).sleep(3600) and "interrupted")
def test_is_after_all(): pass
"""


def _run(folder, selection, *options, **environment):
  (folder / "test_some.py").write_text(_TESTS)
  return subprocess.Popen(
      [sys.executable, "-m", "pytest", "-c", os.devnull, f"--rootdir={folder}", "-v",
       "-p", "tests.watched", f"--watched={folder / 'out' / 'tests.log'}", *options,
       "-k", selection, str(folder / "test_some.py")],
      cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
      # Who was started in the background ignores SIGINT, and so do its children.
      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
      env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "",
           **environment})


def _outcomes(folder) -> dict[str, str]:
  """The last that is said of each test."""
  text = (folder / "out" / "tests.log").read_text()
  return {name: said for said, name in re.findall(
      r"^ *[\d.]+  (\w+(?: over)?) .*test_some.py::test_(\w+)$", text, re.M)}


@pytest.mark.parametrize("processes", [(), ("-p", "xdist.plugin", "-n", "1")])
def test_each_test_is_told_and_one_that_stalls_ends(tmp_path, processes):
  selection = "good or bad or left_out or stalls or after"
  if not processes:  # by itself it would be pytest that ends
    selection = selection.replace("stalls or ", "")
  printed = _run(tmp_path, selection, "-o", f"faulthandler_timeout={_STALLED}", "-o",
                 "faulthandler_exit_on_timeout=true",
                 *processes).communicate(timeout=LONG)[0]
  assert _outcomes(tmp_path) == {"good": "passed", "bad": "failed", "left_out": "skipped",
                                 "is_after_all": "passed"} | (
                                     {"stalls": "failed"} if processes else {}), printed
  log = (tmp_path / "out" / "tests.log").read_text()
  assert "assert 1 == 2" in log and log.rstrip().endswith("end")
  assert re.search(r"PASSED \d+\.\d s", printed)
  if processes:
    assert "in test_stalls" in printed  # the stack
    assert re.search(r"failed +\d+\.\d  test_some.py::test_stalls", log)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_had_not_ended_is_told_when_pytest_is_ended(tmp_path, number):
  os.mkfifo(tmp_path / "stalls")
  process = _run(tmp_path, "good or stalls", STALLS=str(tmp_path / "stalls"))
  with open(os.open(tmp_path / "stalls", os.O_RDONLY | os.O_NONBLOCK), "rb") as begun:
    assert select.select([begun], [], [], LONG)[0]  # waits until the test has begun
  process.send_signal(number)
  process.communicate(timeout=LONG)
  assert _outcomes(tmp_path) == {
      "good": "passed", "stalls": "not over" if number == signal.SIGINT else "begins"}
