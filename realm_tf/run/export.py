"""Exports the newest model of a run."""

import os
import pathlib

from absl import logging

from realm_tf import files
from realm_tf.config import IndexConfig
from realm_tf.errors import UserError
from realm_tf.index.exact import ExactIndex
from realm_tf.index.interface import RowIndex
from realm_tf.index.scann import ScannInGraph
from realm_tf.report.answers import NO_READER
from realm_tf.run import outputs, used
from realm_tf.run.folder import Run
from realm_tf.run.trained_reader import has_reader
from realm_tf.serving import numbered
from realm_tf.serving import saved_model as serving


def export_run(run: Run, flavour: str = "portable", output: str | None = None
               ) -> pathlib.Path:
  """Writes the next version of the SavedModel; returns its folder.

  It searches exactly, whatever `config.index.kind` is, but for the flavour "scann", and has
  the whole table on one host.
  """
  own = run.path / "export"
  base = pathlib.Path(output or own)
  is_own = os.path.realpath(base) == os.path.realpath(own)
  if not is_own:
    outputs.check_output(base)
  if run.config.index.kind == "sharded":
    logging.warning("export: config.index.kind is 'sharded', but an export is not: it has "
                    "all rows in one table, in the memory of each host that serves it, and "
                    "finds the same")
  reads = has_reader(run)
  if not reads:
    logging.warning("export: %s; this export finds passages, and answers nothing", NO_READER)
  with numbered.next_version(base) as (new, version):
    stage = run.newest_stage()
    answerer = run.answerer(stage, exact=True)
    answerer.index = _served(answerer.index, flavour, run.config.index)
    if is_own:
      files.write_json(new / used.RECORD, used.record(run.config, run.path, "export"))
    serving.write_model(answerer, new, flavour, _questions(run), reads,
                        run.config.export.precision, config=run.config.name, stage=stage,
                        checkpoint=run.checkpoint)
  return version


def _questions(run: Run) -> list[str]:
  """People's questions, where the run has any, to warm up by."""
  try:
    return [question.question for question in run.questions("held_out")]
  except UserError:
    return []


def _served(index: ExactIndex, flavour: str, config: IndexConfig) -> RowIndex:
  if flavour == "scann":
    return ScannInGraph(index, config)
  return index.shadowed() if flavour == "native" and config.shadow else index
