"""`realm diagnose`: how good the gradient of a truncated and stale retrieval is."""

import functools
import pathlib
from typing import Any

import tensorflow as tf
from absl import logging

from realm_tf import files
from realm_tf.diagnosis.by_step import choose_by, make_diagnosis
from realm_tf.errors import UserError
from realm_tf.index.interface import RowIndex
from realm_tf.models.losses import mean_marginal
from realm_tf.models.realm import Realm
from realm_tf.registry import LOSSES
from realm_tf.report import page
from realm_tf.run.folder import WITHOUT_WORDS, Run
from realm_tf.training.held_out_sentences import held_out_sentences


def diagnose(run: Run, stage: str, sentences: int | None, blocks: int | None
             ) -> dict[str, Any]:
  """Measures the model of a stage; writes JSON and a page into the run's folder.

  Args:
    run: with that stage done.
    stage: "ict", "pretrain", "dpr" or the warm start.
    sentences, blocks: as in `config.DiagnosisConfig`, or its values where None.
  """
  if stage in WITHOUT_WORDS:
    raise UserError(f"--stage={stage}: it does not predict masked words; diagnose ict, "
                    "pretrain or dpr")
  settings, model = run.config.diagnosis, run.model(stage)
  sentences = settings.sentences if sentences is None else sentences
  sample = held_out_sentences(run.config, run.sentences, run.sentence_bans, sentences)
  diagnosis = make_diagnosis(
      run.config, run.passages, model, sample,
      functools.partial(mean_marginal, LOSSES[run.config.pretrain.loss]), sentences,
      settings.blocks if blocks is None else blocks)
  measured = diagnosis.measure(
      {name: choose_by(run.config, model, index, run.passages)
       for name, index in _stale_indexes(run, stage, model).items()}, settings.candidates)
  measured |= {"stage": stage, "loss": run.config.pretrain.loss,
               "pretrain_candidates": run.config.pretrain.candidates,
               "shared_towers": run.config.retriever.shared_towers}
  files.write_json(json_path(run, stage), measured)
  with files.new_file(json_path(run, stage).with_suffix(".html"), "w") as file:
    file.write(page.page(f"{run.config.name}: diagnosis", [page.diagnosis(measured)]))
  return measured


def json_path(run: Run, stage: str) -> pathlib.Path:
  return run.path / "diagnosis" / f"{stage.replace(' ', '_')}.json"


def _stale_indexes(run: Run, stage: str, model: Realm) -> dict[str, RowIndex]:
  """By name, indexes made by earlier document towers than that of the model."""
  if stage != "pretrain":
    return {}
  before = run.stage_before(stage)
  indexes = {f"after {before}": run.index(run.model(before))}
  step = run.steps(stage)
  index = _last_index(run, model)
  if index is not None and 0 < int(index.step) < step:
    indexes[f"{step - int(index.step)} steps old"] = index
  return indexes


def _last_index(run: Run, model: Realm) -> RowIndex | None:
  """That with which pre-training ended, if its last checkpoint is of its last step."""
  path = run.path / "pretrain" / "checkpoints" / f"ckpt-{run.steps('pretrain')}"
  if not path.with_suffix(".index").exists():
    return None
  index = run.index(model)
  try:
    status = tf.train.Checkpoint(index=index).restore(str(path))
    status.assert_existing_objects_matched()
  except (tf.errors.OpError, ValueError) as error:  # such as: documents came or went
    logging.warning("%s: its index cannot be used (%s)", path, str(error).splitlines()[0])
    return None
  except AssertionError:  # such as: each process of the training held a share of it
    logging.warning("%s: it does not hold the whole index, so that what the index with which "
                    "training ended costs is not measured", path)
    return None
  index.restored()
  return index
