"""`realm evaluate`: figures of a stage on the held-out questions."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, define_checkpoint, define_redo, no_more, open_to_use

SUMMARY = "Measure recall, exact match and F1 on the held-out questions."
EXAMPLE = "realm evaluate --workdir=runs/demo --stage=finetune"


def define_flags() -> None:
  flags.DEFINE_string("stage", None, "ict, pretrain, dpr, cloze or finetune; the newest by "
                      "default.")
  define_checkpoint()
  define_redo("evaluate")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_to_use(makes=["evaluate"])
  from realm_tf.report.tables import figure_table
  from realm_tf.run import redo, stages, worth
  stage = FLAGS.stage or opened.newest_stage()
  print(figure_table(stages.evaluate(opened, stage)))
  redo.finish(opened.path, ["evaluate"])
  if opened.checkpoint == "last":
    worth.warn(opened, stage)
