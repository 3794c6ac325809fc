"""A command that trains one stage of a run."""

import contextlib
from typing import Sequence

from absl import flags, logging

from realm_tf.cli.opening import (
  FLAGS,
  at_work,
  define_redo,
  define_strategy,
  no_more,
  open_to_train,
)
from realm_tf.config.owners import STAGES
from realm_tf.errors import UserError

# What stages need of the corpus that other machines may find.
_FOUND = {"pretrain": "near duplicates and related blocks", "cloze": "near duplicates",
          "dpr": "places of answers", "finetune": "places of answers"}


def define_flags(stage: str) -> None:
  """The flags of a command that trains a stage."""
  if stage in _FOUND:
    flags.DEFINE_string("beam", None, f"Find {_FOUND[stage]} by Apache Beam pipelines with "
                        "these options, such as --beam='--runner=FlinkRunner'; workers must "
                        "see WORKDIR.")
  define_strategy()
  define_redo(stage)


def train_stage(stage: str, arguments: Sequence[str]) -> None:
  """Trains a stage, such as "ict" or "finetune", unless that is done already."""
  no_more(arguments)
  with contextlib.ExitStack() as stack:
    if FLAGS.strategy == "multi_worker":
      from realm_tf.distribute.processes import naming_who_failed
      stack.enter_context(naming_who_failed())
    opened = open_to_train(STAGES[:STAGES.index(stage) + 1])
    from realm_tf.run import redo, stages, worth
    stack.enter_context(at_work(opened))
    if opened.is_done(stage):
      print(f"{stage}: done already, see {opened.path / stage}; --redo={stage} makes it "
            "again")
      return
    if not getattr(opened.config, stage).steps:
      raise UserError(f"config.{stage}.steps: is 0, which leaves this stage out of the run; "
                      f"give --config.{stage}.steps")
    if stage in worth.CHOSEN and worth.unjudged(opened):
      logging.warning("%s", worth.unjudged(opened))
    getattr(stages, stage)(opened, *([FLAGS.beam] if stage in _FOUND else []))
    redo.finish(opened.path, [stage])
    print(f"{stage}: done, see {opened.path}")
