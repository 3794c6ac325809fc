"""The loop of a run's stage, as the run's config says."""

import pathlib
from typing import Any

import tensorflow as tf

from realm_tf.config import RealmConfig, to_dict
from realm_tf.config.owners import STAGES, used
from realm_tf.training.judging import Judge
from realm_tf.training.loop import Loop


def stage_loop(config: RealmConfig, name: str, folder: pathlib.Path, tracked: dict[str, Any],
               strategy: tf.distribute.Strategy, judge: Judge | None = None) -> Loop:
  """The loop of a stage, or of a warm-up within `pretrain`, of as many steps as it has.

  Args:
    config: of the run; `schedule.fitted` for this stage.
    name: of the section of the config.
    folder, tracked, strategy, judge: see `Loop`.
  """
  part = name if name in STAGES else "pretrain"
  # A refresh job embeds what it finds in checkpoints.
  follows = name == "pretrain" and config.refresh.mode == "job"
  return Loop(name, folder, getattr(config, name).steps, tracked,
              config.refresh.every if follows else config.checkpoint_every,
              keep=config.keep_checkpoints, best=config.best_metric,
              settings=used(to_dict(config), part), strategy=strategy, judge=judge)
