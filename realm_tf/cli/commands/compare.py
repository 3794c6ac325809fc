"""`realm compare`: which of two runs, or files of predictions, is better."""

import json
import os
from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, define_recall_at, recall_depths
from realm_tf.counted import counted
from realm_tf.errors import UserError

SUMMARY = "Compare two runs or files of predictions question by question, with paired tests."
EXAMPLE = "realm compare runs/demo runs/other --stage=finetune"


def define_flags() -> None:
  flags.DEFINE_string("stage", None, "Of runs: whose evaluation is compared, such as ict or "
                      "BM25; the newest that was evaluated by default.")
  flags.DEFINE_string("questions", None, "JSON lines, an array or CSV, with "
                      "question and answer; needed where the files do not hold the right "
                      "answers, as those of `realm predict`.")
  define_recall_at()
  flags.DEFINE_integer("samples", 10000, "Draws of the bootstrap, and of the permutation "
                       "test.", lower_bound=100, upper_bound=1_000_000)
  flags.DEFINE_integer("seed", 0, "Of both.", lower_bound=0)
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def run(arguments: Sequence[str]) -> None:
  if len(arguments) != 2:
    raise UserError(f"{counted(len(arguments), 'name')} given; expected two: runs' "
                    "folders, or files of predictions")
  for name in arguments:
    if not os.path.exists(name):
      raise UserError(f"{name}: cannot be read (no such file or folder); expected a run's "
                      "folder, or a file of predictions")
  from realm_tf.datasets.questions import read_questions
  questions = read_questions(FLAGS.questions) if FLAGS.questions else None
  from realm_tf.evaluation import compare
  from realm_tf.report.tables import comparison_table
  from realm_tf.run import comparing
  paths = [comparing.named_predictions(name, FLAGS.stage) for name in arguments]
  differences = compare.compare(
      *comparing.paired(paths, questions, recall_depths()), FLAGS.samples,
      FLAGS.seed)
  names = [str(path) for path in paths]
  if FLAGS.json:
    print(json.dumps({"a": names[0], "b": names[1], "figures": {
        name: difference._asdict() for name, difference in differences.items()}}))
  else:
    print(comparison_table(differences, names))
