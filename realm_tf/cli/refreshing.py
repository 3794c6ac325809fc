"""The refresh job of a run: `realm refresh` beside `realm pretrain`."""

import os

from absl import logging

from realm_tf.cli.run_folder import RunFolder
from realm_tf.errors import UserError
from realm_tf.index.job import RefreshJob
from realm_tf.training.loop import Interrupted, stop_requests


def refresh(run: RunFolder, once: bool, nice: int) -> int:
  """Follows the checkpoints of pre-training to its end; returns how many it embedded."""
  if run.config.pretrain.refresh != "job":
    raise UserError(
        f"config.pretrain.refresh: '{run.config.pretrain.refresh}'; a trainer looks at "
        "what `realm refresh` makes only with 'job'")
  os.nice(nice)  # the trainer comes first
  model = run.model(run.stage_before("pretrain"))
  folder = run.path / "pretrain"
  job = RefreshJob(folder / "checkpoints", folder / "index", run.corpus, model,
                   run.embedder(model), run.config.embedding_dtype)
  with stop_requests() as stop:
    logging.info("following %s", folder / "checkpoints")
    made = job.run(lambda: bool(stop), lambda: once or run.is_done("pretrain"))
  if stop:
    raise Interrupted("stopped; what is embedded so far is kept: run the same command to "
                      "go on")
  return made
