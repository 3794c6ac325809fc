"""`realm diagnose` of runs whose index is not the plain one of one process."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import config as config_lib
from realm_tf.diagnosis.by_step import choose_by, make_diagnosis
from realm_tf.index.exact import ExactIndex
from realm_tf.registry import LOSSES
from realm_tf.run import diagnose, stages
from realm_tf.run.folder import Run
from realm_tf.training.held_out_sentences import held_out_sentences
from tests import tiny
from tests.index.test_distributed import LONG, in_two_processes

_ROOT = pathlib.Path(__file__).parents[2]
_STEPS, _INDEX_STEP = 6, 4


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("diagnosing")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  return folder


def _config(world, **changes):
  """Pre-training that ends two steps after its last refresh, and moves far in these."""
  return tiny.make_config(world, write=False, **{
      "corpus__source": str(world / "documents.jsonl"), "checkpoint_every": _STEPS,
      "pretrain__steps": _STEPS, "refresh__mode": "sync",
      "refresh__every": _INDEX_STEP, "refresh__max_staleness": _INDEX_STEP,
      "pretrain__learning_rate": 0.02, "pretrain__warmup_steps": 0,
      "diagnosis__sentences": 4, "diagnosis__blocks": 0, "diagnosis__candidates": (4, 8),
      **changes})


def _saved_table(run) -> np.ndarray:
  """[N, D]: the index in the last checkpoint, in however many parts it lies there."""
  reader = tf.train.load_checkpoint(
      str(run.path / "pretrain" / "checkpoints" / f"ckpt-{_STEPS}"))
  return np.concatenate([reader.get_tensor(name) for name in sorted(
      reader.get_variable_to_shape_map()) if name.startswith("index/table")])


def _by_name(diagnosis):
  rows = {}
  for row in diagnosis["rows"]:
    rows.setdefault(row["candidates"], []).append(
        [value for name, value in row.items() if name != "candidates"])
  return rows


@pytest.mark.stress
@pytest.mark.parametrize("kind", ["scann", "sharded"])
def test_an_index_of_any_kind_is_as_stale_as_an_exact_one_of_the_same_rows(
    world, tmp_path, kind):
  run = Run(_config(world, index__kind=kind, index__rescored=24), tmp_path / "run")
  stages.corpus(run)
  stages.pretrain(run)
  ours = _by_name(diagnose.diagnose(run, "pretrain", None, None))

  model, table = run.model("pretrain"), _saved_table(run)
  exact = ExactIndex()
  exact.assign(table, _INDEX_STEP)
  sample = held_out_sentences(run.config, run.corpus, run.banned, 4)
  diagnosis = make_diagnosis(
      run.config, run.passages, model, sample, lambda scores, log_probs, weights:
      LOSSES[run.config.pretrain.loss](scores, log_probs, weights), 4, 0)
  expected = _by_name(diagnosis.measure(
      {"exact": choose_by(run.config, model, exact, run.passages)}, [4, 8]))
  assert ours.keys() == {"fresh", "after warm start", "2 steps old"}
  np.testing.assert_allclose(ours["2 steps old"], expected["exact"], rtol=1e-4, atol=1e-6)
  for other in ("fresh", "after warm start"):  # else the test would say little
    assert np.abs(np.subtract(ours[other], ours["2 steps old"])).max() > 1e-3, other


@pytest.mark.stress
@pytest.mark.parametrize("changes", [
    {"index__kind": "sharded"}, {"refresh__mode": "rerank"}])
def test_of_a_run_that_two_processes_trained(world, tmp_path, changes):
  config = _config(world, diagnosis__every=_STEPS, **changes)
  run = Run(config, tmp_path / "run")
  stages.corpus(run)
  command = [sys.executable, "-m", "realm_tf.cli.main"]
  processes = in_two_processes([*command, "pretrain", f"--workdir={run.path}",
                                "--strategy=multi_worker"])
  try:
    for process in processes:
      log, _ = process.communicate(timeout=LONG)
      assert process.returncode == 0, log
  finally:  # one that failed leaves the other waiting
    for process in processes:
      process.kill()
  completed = subprocess.run([*command, "diagnose", f"--workdir={run.path}"], cwd=_ROOT,
                             capture_output=True, text=True, check=False)
  assert completed.returncode == 0, completed.stderr
  diagnosis = json.loads((run.path / "diagnosis" / "pretrain.json").read_text())
  assert {row["candidates"] for row in diagnosis["rows"]} == {"fresh", "after warm start"}
  shared = config_lib.to_dict(config)["index"]["kind"] == "sharded"
  assert ("does not hold the whole index" in completed.stderr) == shared
