"""`realm evaluate`: figures of a stage on the held-out questions."""

from typing import Sequence

from absl import flags, logging

from realm_tf.cli.opening import (
  FLAGS,
  check_there,
  define_checkpoint,
  define_redo,
  no_more,
  open_to_use,
)
from realm_tf.errors import UserError

SUMMARY = "Measure recall, exact match and F1 on the held-out questions, or a file's."
EXAMPLE = "realm evaluate --workdir=runs/demo --stage=finetune"


def define_flags() -> None:
  flags.DEFINE_string("stage", None, "ict, pretrain, dpr, cloze or finetune; the newest by "
                      "default.")
  flags.DEFINE_string("questions", None, "Measure by those of this file, and keep nothing: "
                      "JSON lines, an array or CSV, with question and answer. By default the "
                      "run's held-out questions.")
  define_checkpoint()
  define_redo("evaluate")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if FLAGS.questions is not None:
    _by_file()
    return
  opened = open_to_use(makes=["evaluate"])
  from realm_tf.report.tables import figure_table
  from realm_tf.run import redo, search, stages, worth
  search.make_corpus_if_missing(opened)
  stage = FLAGS.stage or opened.newest_stage()
  print(figure_table(stages.evaluate(opened, stage)))
  redo.finish(opened.path, ["evaluate"])
  if opened.checkpoint == "last":
    worth.warn(opened, stage)
  if few := worth.few_held_out(opened):
    logging.warning("%s", few)


def _by_file() -> None:
  if FLAGS.redo:
    raise UserError("--questions and --redo: figures of a file are measured anew each time; "
                    "give one of both")
  check_there("questions", "JSON lines, an array or CSV, with question and answer")
  opened = open_to_use(writes=False, kept=False)
  from realm_tf.report.tables import figure_table
  from realm_tf.run import search
  from realm_tf.run.scoring import scored_by_file
  search.make_corpus_if_missing(opened)
  print(figure_table(scored_by_file(opened, FLAGS.stage or opened.newest_stage(),
                                    FLAGS.questions)))
