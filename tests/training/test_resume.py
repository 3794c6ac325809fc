"""A stage that is killed and run again ends as one that never was, to the bit."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import tiny
from tests.training import stages

_STEPS, _EVERY = 12, 3
_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("resume")
  tiny.make_corpus(folder / "corpus")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder


def _start(stage: str, world: pathlib.Path, folder: pathlib.Path, **changes):
  changes = {"checkpoint_every": _EVERY, "deterministic": True, f"{stage}__steps": _STEPS,
             "pretrain__refresh": "sync", "pretrain__refresh_every": 4,
             "pretrain__max_staleness": 4, **changes}
  return subprocess.Popen(
      [sys.executable, "-m", "tests.training.stages", stage, str(world), str(folder),
       "one_device", json.dumps(changes)], cwd=_ROOT, stdout=subprocess.DEVNULL,
      stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)})


def _finish(process: subprocess.Popen) -> None:
  _, log = process.communicate(timeout=300)
  assert process.returncode == 0, log


def _newest(folder: pathlib.Path) -> int:
  return max((int(path.stem.split("-")[1]) for path in folder.glob("checkpoints/*.index")),
             default=0)


def _kill_after(step: int, process: subprocess.Popen, folder: pathlib.Path,
                number: int) -> None:
  """Kills in the midst of the steps after the checkpoint of `step`."""
  while process.poll() is None and _newest(folder) < step:
    time.sleep(0.001)
  process.send_signal(number)
  process.communicate(timeout=300)


def _assert_same(ours: pathlib.Path, expected: pathlib.Path) -> None:
  ours, expected = stages.saved(ours), stages.saved(expected)
  assert ours.keys() == expected.keys()
  for name, value in expected.items():
    if "best_value" not in name and "save_counter" not in name:
      np.testing.assert_array_equal(ours[name], value, err_msg=name)


@pytest.mark.parametrize("stage, number", [
    ("ict", signal.SIGTERM), ("pretrain", signal.SIGKILL),
    pytest.param("reading", signal.SIGKILL, marks=pytest.mark.slow),
    pytest.param("finetune", signal.SIGTERM, marks=pytest.mark.slow)])
def test_killed_and_run_again_is_never_killed_to_the_bit(world, tmp_path, stage, number):
  killed = _start(stage, world, tmp_path / "killed")
  _kill_after(_EVERY, killed, tmp_path / "killed", number)
  assert 0 < _newest(tmp_path / "killed") < _STEPS  # it was not done yet
  whole = _start(stage, world, tmp_path / "whole")
  _finish(_start(stage, world, tmp_path / "killed"))
  _finish(whole)
  _assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("stage", stages.STAGES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_many_times_at_random(world, tmp_path, stage, number):
  whole, folder = tmp_path / "whole", tmp_path / "killed"
  changes = {f"{stage}__steps": 60, "checkpoint_every": 2}
  _finish(_start(stage, world, whole, **changes))
  rng = np.random.default_rng(0)
  for _ in range(6):
    process = _start(stage, world, folder, **changes)
    _kill_after(_newest(folder) + int(rng.integers(1, 9)), process, folder, number)
  _finish(_start(stage, world, folder, **changes))
  _assert_same(folder, whole)
