"""A stage that is killed and run again ends as one that never was, to the bit."""

import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.store import Corpus
from realm_tf.training.optimizer import AdamW
from tests import tiny
from tests.processes import LONG, WITHOUT_GPU
from tests.training import stages

_STEPS, _EVERY = 12, 3
_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("resume")
  tiny.make_corpus(folder / "corpus")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder


def _start(stage: str, world: pathlib.Path, folder: pathlib.Path, *signal_at: int, **changes):
  changes = {"checkpoint_every": _EVERY, "deterministic": True, f"{stage}__steps": _STEPS,
             "refresh__mode": "sync", "refresh__every": 4,
             "refresh__max_staleness": 4, **changes}
  return subprocess.Popen(
      [sys.executable, "-m", "tests.training.stages", stage, str(world), str(folder),
       "one_device", json.dumps(changes), *map(str, signal_at)], cwd=_ROOT,
      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
      env={**os.environ, **WITHOUT_GPU, "PYTHONPATH": str(_ROOT)})


def _finish(process: subprocess.Popen) -> None:
  _, log = process.communicate(timeout=LONG)
  assert process.returncode == 0, log


def _newest(folder: pathlib.Path) -> int:
  return max((int(path.stem.split("-")[1]) for path in folder.glob("checkpoints/*.index")),
             default=0)


def _kill_after(step: int, process: subprocess.Popen, folder: pathlib.Path,
                number: int, later: float) -> None:
  """Kills `later` seconds after there was the checkpoint of `step`, or a later one."""
  while process.poll() is None and _newest(folder) < step:
    time.sleep(0.001)
  time.sleep(later)
  process.send_signal(number)
  process.communicate(timeout=LONG)


def _assert_same(actual: pathlib.Path, expected: pathlib.Path) -> None:
  actual, expected = stages.saved(actual), stages.saved(expected)
  assert actual.keys() == expected.keys()
  for name, value in expected.items():
    if not {"best_value", "save_counter", "worked"} & set(name.split("/")):
      np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.parametrize("stage, number, changes", [
    ("pretrain", signal.SIGKILL, {}),
    pytest.param("finetune", signal.SIGTERM, {
        "retriever__dropout": 0.3, "encoder__dropout": 0.3, "finetune__accumulate": 2,
        "finetune__distill": 1.0}, marks=pytest.mark.slow),
    *(pytest.param(*case, marks=pytest.mark.stress) for case in (
        ("ict", signal.SIGTERM, {"retriever__dropout": 0.3}),
        ("pretrain", signal.SIGTERM, {}), ("reading", signal.SIGKILL, {}),
        ("finetune", signal.SIGKILL, {})))])
def test_killed_and_run_again_is_never_killed_to_the_bit(
    world, tmp_path, stage, number, changes):
  # By itself: a busy machine may let it end before another process has killed it.
  killed = _start(stage, world, tmp_path / "killed", _EVERY + 1, number, **changes)
  _, log = killed.communicate(timeout=LONG)
  assert killed.returncode and 0 < _newest(tmp_path / "killed") < _STEPS, log
  uninterrupted = _start(stage, world, tmp_path / "whole", **changes)
  _finish(_start(stage, world, tmp_path / "killed", **changes))
  _finish(uninterrupted)
  _assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.stress
@pytest.mark.parametrize("stage, changes", [
    (stage, {}) for stage in stages.STAGES])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_many_times_at_random(world, tmp_path, stage, changes, number):
  uninterrupted, folder = tmp_path / "whole", tmp_path / "killed"
  changes = {f"{stage}__steps": 60, "checkpoint_every": 2, **changes}
  _finish(_start(stage, world, uninterrupted, **changes))
  seed = secrets.randbits(32)
  print("seed", seed)  # shown where the test fails
  rng, codes = np.random.default_rng(seed), []
  for _ in range(5):
    process = _start(stage, world, folder, **changes)
    _kill_after(_newest(folder) + int(rng.integers(1, 12)), process, folder, number,
                later=rng.uniform(0, 0.05))
    codes.append(process.returncode)
  assert codes[0], codes  # the later ones may have been done before
  _finish(_start(stage, world, folder, **changes))
  _assert_same(folder, uninterrupted)


@pytest.mark.stress
def test_a_half_written_checkpoint_costs_steps_but_no_bit(world, tmp_path):
  uninterrupted, folder = tmp_path / "whole", tmp_path / "killed"
  _finish(_start("pretrain", world, uninterrupted))
  killed = _start("pretrain", world, folder, 2 * _EVERY + 1, signal.SIGKILL)
  killed.communicate(timeout=LONG)
  assert killed.returncode == -signal.SIGKILL
  newest = folder / "checkpoints" / f"ckpt-{_newest(folder)}.data-00000-of-00001"
  os.truncate(newest, newest.stat().st_size // 2)
  again = _start("pretrain", world, folder)
  _, log = again.communicate(timeout=LONG)
  assert again.returncode == 0, log
  assert "cannot be read" in log and "trying the one before" in log
  _assert_same(folder, uninterrupted)


def _watch(monkeypatch, owner, name, events):
  original = getattr(owner, name)

  def watched(*arguments, **named):
    events.append(f"{name} begins")
    result = original(*arguments, **named)
    events.append(f"{name} ends")
    return result

  monkeypatch.setattr(owner, name, watched)


@pytest.mark.parametrize("stage", [
    "ict", *(pytest.param(stage, marks=pytest.mark.stress)
             for stage in ("pretrain", "reading", "cloze", "finetune"))])
def test_killed_after_the_last_step_it_has_nothing_left_to_do(
    world, tmp_path, monkeypatch, stage):
  config = tiny.make_config(world, write=False, checkpoint_every=2, **{f"{stage}__steps": 2})
  corpus = Corpus.open(world / "corpus")
  _, trained = stages.train(stage, tmp_path, corpus, config)
  events = []
  _watch(monkeypatch, tf.train.Checkpoint, "restore", events)
  _watch(monkeypatch, AdamW, "add_slot", events)
  loop, model = stages.train(stage, tmp_path, corpus, config)
  assert loop.first_step == 2
  for part in ("retriever", "encoder"):
    for actual, expected in zip(getattr(model, part).variables,
                                getattr(trained, part).variables, strict=True):
      np.testing.assert_array_equal(actual, expected)
  # All moments are made first: to make one, processes have to meet.
  restored = events.index("restore begins")
  assert restored > 20 and events[restored:] == ["restore begins", "restore ends"]
