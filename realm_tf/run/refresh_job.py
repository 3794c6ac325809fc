"""The refresh job of a run: `realm refresh` beside `realm pretrain`."""

import functools
import os
from typing import Any, Callable

import numpy as np
from absl import logging

from realm_tf import files
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.extras import require
from realm_tf.index.embed import CorpusEmbedder, encoder_hash, store_embeddings
from realm_tf.index.stored_index import StoredIndex
from realm_tf.models.realm import Realm
from realm_tf.refresh.job import RefreshJob
from realm_tf.run.folder import Run
from realm_tf.training.stopping import Interrupted, stop_requests


def refresh(run: Run, once: bool, nice: int, beam: str | None = None) -> int:
  """Follows the checkpoints of pre-training to its end; returns how many it embedded.

  Args:
    run: of the trainer.
    once: embed the newest checkpoint and end.
    nice: how far this process steps back.
    beam: options of the pipeline by which to embed; None embeds here.
  """
  if run.config.refresh.mode != "job":
    raise UserError(
        f"config.refresh.mode: '{run.config.refresh.mode}'; a trainer looks at "
        "what `realm refresh` makes only with 'job'")
  os.nice(nice)  # the trainer comes first
  model = run.model(run.stage_before("pretrain"))
  folder = run.path / "pretrain"
  job = RefreshJob(folder / "checkpoints", folder / "index", run.corpus, model,
                   run.embedder(model), run.config.embedding_dtype,
                   store_embeddings if beam is None else _by_beam(run, model, beam))
  with stop_requests() as stop:
    logging.info("following %s", folder / "checkpoints")
    versions = job.run(lambda: bool(stop), lambda: once or run.is_done("pretrain"))
  if stop:
    raise Interrupted("stopped; what is embedded so far is kept: run the same command to "
                      "go on", stop[0])
  return versions


def _by_beam(run: Run, model: Realm, options: str) -> Callable[..., StoredIndex]:
  require(("apache_beam",), "--beam", "beam")
  from realm_tf.index import beam  # pylint: disable=import-outside-toplevel
  weights = run.path / "pretrain" / "index" / ".tower.npz"

  def store(*arguments: Any, **keywords: Any) -> StoredIndex:
    tower = model.retriever.document_tower
    with files.new_file(weights) as file:
      np.savez(file, *(variable.numpy() for variable in tower.variables))
    opened = functools.partial(_open_worker, str(run.path.resolve()), str(weights.resolve()),
                               encoder_hash(tower))
    return beam.store_embeddings_by_beam(*arguments, open_worker=opened, options=options,
                                         **keywords)

  return store


def _open_worker(workdir: str, weights: str, wanted: str) -> tuple[Corpus, CorpusEmbedder]:
  """On a worker: the run's corpus, and an embedder with the weights that were sent."""
  run = Run.existing(workdir)
  model = run.model(run.stage_before("pretrain"))
  tower = model.retriever.document_tower
  with np.load(weights, allow_pickle=False) as saved:
    for variable, name in zip(tower.variables, saved.files, strict=True):
      variable.assign(saved[name])
  if encoder_hash(tower) != wanted:
    raise UserError(f"{weights}: not the weights of this pipeline, but of a later one")
  return run.corpus, run.embedder(model)
