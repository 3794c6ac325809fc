"""Exports the newest model of a run."""

import os
import pathlib

from absl import logging

from realm_tf import files, folders
from realm_tf.config import IndexConfig, owners, portable
from realm_tf.index.exact import ExactIndex
from realm_tf.index.interface import RowIndex
from realm_tf.index.scann import ScannInGraph
from realm_tf.run import outputs, search, used
from realm_tf.run.folder import Run
from realm_tf.run.trained_reader import has_reader
from realm_tf.serving import saved_model as serving


def export_run(run: Run, flavour: str = "portable", output: str | None = None
               ) -> pathlib.Path:
  """Writes the SavedModel; returns its folder.

  It searches exactly, whatever `config.index.kind` is, but for the flavour "scann".
  """
  own = run.path / "export"
  folder = pathlib.Path(output or own)
  if os.path.realpath(folder) != os.path.realpath(own):
    outputs.check_output(folder)
  if not has_reader(run):
    logging.warning("export: %s; `retrieve` and `embed` of this export are of use, its "
                    "answers are not", search.NO_READER)
  with folders.new_folder(folder, serving.EXPORT) as new:
    answerer = run.answerer(run.newest_stage(), exact=True)
    answerer.index = _served(answerer.index, flavour, run.config.index)
    if os.path.realpath(folder) == os.path.realpath(own):
      files.write_json(new / used.RECORD, {
          "used": owners.used(portable(run.config, run.path), "export")})
    serving.write(answerer, new, flavour)
  return folder


def _served(index: ExactIndex, flavour: str, config: IndexConfig) -> RowIndex:
  if flavour == "scann":
    return ScannInGraph(index, config)
  return index.shadowed() if flavour == "native" and config.shadow else index
