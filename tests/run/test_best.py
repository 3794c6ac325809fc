"""The best checkpoint of a stage, by config.best_metric, in place of its last model."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.run import stages
from realm_tf.run.folder import WARM_START, Run
from tests import tiny
from tests.command import finished


def _values(model):
  return [variable.numpy().copy() for variable in model.trainable_variables]


@pytest.fixture(name="trained_run", scope="module")
def _done(tmp_path_factory):
  """A run whose best model is that of step 2, of 6; and the weights as they were then."""
  folder = tmp_path_factory.mktemp("best")
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  (folder / "held_out.jsonl").write_text("".join(
      json.dumps({"question": f"what is the capital of {country}?", "answer": city}) + "\n"
      for city, country in list(tiny.CITIES.items())[8:]))
  config = tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"), ict__steps=6,
      evaluate__questions=str(folder / "held_out.jsonl"), pretrain__steps=6,
      refresh__mode="frozen", checkpoint_every=2, keep_checkpoints=3,
      # Always the same, so that the first checkpoint is the best.
      best_metric="index_swaps")
  run, saved, save = Run(config, folder / "run"), {}, tf.train.CheckpointManager.save

  def watched(manager, checkpoint_number):
    part = getattr(manager.checkpoint, "model", None)
    part = manager.checkpoint.retriever if part is None else part
    saved[manager.directory, checkpoint_number] = _values(part)
    return save(manager, checkpoint_number)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(tf.train.CheckpointManager, "save", watched)
    stages.corpus(run)
    stages.ict(run)
    stages.pretrain(run)
  best = run.path / "ict" / "checkpoints" / "best"
  assert not best.exists()  # ICT has no such metric
  best.mkdir()
  for path in best.parent.glob("ckpt-2.*"):
    shutil.copy(path, best)
  return run.path, {stage: saved[str(run.path / stage / "checkpoints"), 2]
                    for stage in ("ict", "pretrain")}


@pytest.fixture(name="run")
def _run(trained_run, tmp_path):
  shutil.copytree(trained_run[0], tmp_path / "run")
  return Run.existing(tmp_path / "run")


def _same(ours, expected):
  return all(np.array_equal(a, b) for a, b in zip(ours, expected, strict=True))


@pytest.mark.parametrize("stage", ["ict", "pretrain"])
def test_the_best_model_is_the_one_that_was_kept(run, trained_run, stage):
  def trained():
    model = run.model(stage)
    return _values(model.retriever if stage == "ict" else model)

  expected = trained_run[1][stage]
  assert not _same(trained(), expected)
  run.checkpoint = "best"
  assert _same(trained(), expected)


def test_both_are_evaluated_each_with_an_index_of_its_own(run):
  last = stages.evaluate(run, "pretrain")
  written = finished("evaluate", f"--workdir={run.path}", "--checkpoint=best")
  assert written.returncode == 0, written.stderr
  assert len(list(run.index_root.glob("*/manifest.json"))) == 3  # that of ICT too
  folder = run.path / "evaluation"
  assert files.read_json(folder / "pretrain.json") == last
  ours = [json.loads(line) for line in open(folder / "pretrain-best.predictions.jsonl")]
  run.checkpoint = "best"
  rows = run.answerer("pretrain").retrieve(
      tf.constant([record["question"] for record in ours]), 5).row.numpy()
  assert [record["rows"][:5] for record in ours] == rows.tolist()


def test_without_a_best_one_it_is_said_in_one_line(run, tmp_path):
  shutil.rmtree(run.path / "pretrain" / "checkpoints" / "best")
  for words in (["export", f"--output={tmp_path}/out"], ["ask", "who?"]):
    completed = finished(*words, f"--workdir={run.path}", "--checkpoint=best")
    assert completed.returncode == 2 and "Traceback" not in completed.stderr, completed.stderr
    assert "best: no checkpoint there" in completed.stderr
    assert "config.best_metric" in completed.stderr
  assert not (tmp_path / "out").exists()


def test_a_damaged_best_one_is_named_and_a_run_without_stages_has_none(run):
  path = run.path / "pretrain" / "checkpoints" / "best" / "ckpt-2.data-00000-of-00001"
  path.write_bytes(path.read_bytes()[:1000])
  run.checkpoint = "best"
  with pytest.raises(UserError, match="best/ckpt-2: cannot be read: damaged"):
    run.model("pretrain")
  with pytest.raises(UserError, match="needs a stage that is done"):
    run.model(WARM_START)


def test_an_export_has_one_model_only(tmp_path):
  completed = finished("ask", f"--export={tmp_path}", "--checkpoint=best", "who?")
  assert completed.returncode == 2
  assert "--checkpoint: an export has one model" in completed.stderr
