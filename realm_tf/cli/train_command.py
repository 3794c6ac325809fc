"""A command that trains one stage of a run."""

import contextlib
from typing import Sequence

from realm_tf.cli.opening import FLAGS, at_work, no_more, open_to_train


def train_stage(stage: str, arguments: Sequence[str]) -> None:
  """Trains a stage, such as "ict" or "finetune", unless that is done already."""
  no_more(arguments)
  with contextlib.ExitStack() as stack:
    if FLAGS.strategy == "multi_worker":
      from realm_tf.distribute.processes import naming_who_failed
      stack.enter_context(naming_who_failed())
    opened = open_to_train()
    from realm_tf.run import stages
    stack.enter_context(at_work(opened))
    if opened.is_done(stage):
      print(f"{stage}: done already, see {opened.path / stage}")
      return
    getattr(stages, stage)(opened)
    print(f"{stage}: done, see {opened.path}")
