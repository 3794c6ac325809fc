"""What held-out questions say of a stage, for TensorBoard: before the stage and after it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from realm_tf import files
from realm_tf.config.owners import STAGES
from realm_tf.run import evaluations
from realm_tf.run.folder import Run
from realm_tf.run.held_out_questions import same_measure

_SHOWN = ("recall@", "exact_match", "f1", "masked_words")
_NOT_SHOWN = ("_low", "_high", "_lost_by_index")


def write_events(run: Run, stage: str, figures: Mapping[str, Any]) -> None:
  """Adds the figures of an evaluation to the stage's own events, at its last step; at step 0
  those of the stage before it, if they are of the same questions and corpus.

  What is no stage, such as a stage's best checkpoint, has no events.
  """
  if stage not in STAGES:
    return
  path = evaluations.metrics_path(run.path, run.stage_before(stage))
  before = files.read_object(path) if path.exists() else {}
  points = {run.steps(stage): figures}
  if same_measure(before, figures):
    points = {0: before} | points
  folder = run.path / stage / "tensorboard"
  folder.mkdir(exist_ok=True)  # TensorFlow's own would have permissions of its own
  writer = tf.summary.create_file_writer(str(folder), filename_suffix=".held_out")
  for step, values in points.items():
    with writer.as_default(step=step):
      for name, value in values.items():
        if name.startswith(_SHOWN) and not name.endswith(_NOT_SHOWN):
          tf.summary.scalar(f"held_out/{name}", value)
  writer.close()
