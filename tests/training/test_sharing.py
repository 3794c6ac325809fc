"""An index that two real processes share is refreshed, and goes on after a kill."""

import json
import os
import re
import shutil
import sys
import time

import pytest
import tensorflow as tf

from realm_tf.corpus.changes import change_store
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.index.embed import CorpusEmbedder
from realm_tf.refresh.job import RefreshJob
from realm_tf.run.model import initial_model
from realm_tf.training.log import read_curves
from tests import tiny
from tests.processes import LONG, in_two_processes

_STEPS, _EVERY, _STALEST = 12, 2, 4


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("sharing")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  tiny.make_corpus(folder / "corpus")
  change_store(folder / "corpus", delete=["city-Paris"])  # a row that nobody reads
  return folder


def _job(world, folder, config):
  """What `realm refresh` runs, in this process."""
  corpus = Corpus.open(world / "corpus")
  model = initial_model(config, corpus.tokenizer)
  embedder = CorpusEmbedder(Passages(corpus), model.make_tower, 64, 1024)
  return RefreshJob(folder / "checkpoints", folder / "index", corpus, model, embedder,
                    config.embedding_dtype)


def _train(world, folder, changes, number, until=_STEPS, beside=lambda: None):
  """Both processes to their end, or until they kill themselves, step `until` being saved;
  their logs."""
  paths = [folder.parent / f"{number}-{worker}.log" for worker in range(2)]
  outputs = [open(path, "w", encoding="utf-8") for path in paths]
  command = [sys.executable, "-m", "tests.training.sharing", str(world), str(folder),
             json.dumps(changes), *((str(until), "9") if until < _STEPS else ())]
  processes, begun = in_two_processes(command, outputs), time.monotonic()
  try:
    while any(process.poll() is None for process in processes) and (
        time.monotonic() - begun < LONG):
      beside()
      if any(process.poll() for process in processes):
        break  # the other one would wait for it
      time.sleep(0.05)
  finally:
    for process, output in zip(processes, outputs):
      process.kill()
      process.wait()
      output.close()
  logs = [path.read_text() for path in paths]
  codes = [process.returncode for process in processes]
  assert codes == ([0, 0] if until == _STEPS else [-9, -9]), logs
  return logs


def _newest(folder):
  path = tf.train.latest_checkpoint(str(folder / "checkpoints"))
  return int(path.rsplit("-", 1)[1]) if path else 0


@pytest.mark.stress
@pytest.mark.parametrize("changes", [
    {"refresh__mode": "job"}, {"refresh__mode": "sync"}, {"refresh__mode": "async"}])
def test_a_shared_index_is_refreshed_and_goes_on_after_a_kill(world, tmp_path, changes):
  changes = {"index__kind": "sharded", "checkpoint_every": _EVERY,
             "pretrain__steps": _STEPS, "refresh__every": _EVERY,
             "refresh__max_staleness": _STALEST, **changes}
  folder, beside = tmp_path / "run", lambda: None
  if changes["refresh__mode"] == "job":
    beside = _job(world, folder, tiny.make_config(world, write=False, **changes)).refresh
  for number, until in enumerate((6, _STEPS)):
    first = _newest(folder)
    logs = _train(world, folder, changes, number, until, beside)
    swaps = [[int(step) for step in re.findall(r"^swapped (\d+)$", log, re.M)]
             for log in logs]
    common = min(map(len, swaps))  # of those killed one may be a step behind
    assert swaps[0][:common] == swaps[1][:common] and common > 0
    assert until < _STEPS or swaps[0] == swaps[1]
    assert all(f"going on from step {first}" in log for log in logs) == (first > 0)
  curves = [read_curves(path / "curves.csv") for path in (folder, folder / "worker-1")]
  ages = [[(step, means["index_step"], means["index_staleness"]) for step, means in rows]
          for rows in curves]
  assert ages[0] == ages[1] and [step for step, *_ in ages[0]] == list(range(1, _STEPS + 1))
  assert all(age <= _STALEST and at + age == step - 1 for step, at, age in ages[0])
  assert ages[0][-1][1] > 6  # of a version that was made after the kill


@pytest.mark.stress
@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_both_go_on_from_the_newest_that_both_can_read(world, tmp_path, harm):
  """Process 1 does not see the newest checkpoint as the chief does."""
  changes = {"index__kind": "sharded", "checkpoint_every": _EVERY, "keep_checkpoints": 3,
             "pretrain__steps": _STEPS, "refresh__mode": "sync",
             "refresh__every": _EVERY, "refresh__max_staleness": _STALEST}
  folder, second_view = tmp_path / "run", tmp_path / "run-seen-by-1"
  _train(world, folder, changes, 0, until=6)
  newest = _newest(folder)
  shutil.copytree(folder, second_view)
  path = second_view / "checkpoints" / f"ckpt-{newest}.data-00000-of-00001"
  os.truncate(path, 1000) if harm == "damaged" else path.unlink()
  logs = _train(world, folder, changes, 1)
  for log, reason in zip(logs, (r"by another process", r".*")):
    assert re.search(rf"ckpt-{newest}: cannot be read \({reason}\); trying", log), logs
    assert f"going on from step {newest - _EVERY}" in log, logs
  curves = [dict(read_curves(path / "curves.csv"))
            for path in (folder, second_view / "worker-1")]
  for step in range(newest - _EVERY + 1, _STEPS + 1):
    assert curves[0][step]["loss"] == curves[1][step]["loss"]
