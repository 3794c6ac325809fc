"""`realm score`: figures of a file of predictions."""

import json
from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, check_there, define_recall_at, no_more, recall_depths
from realm_tf.errors import UserError

SUMMARY = ("Score a file of predictions, as `evaluate` and as ORQA's script do: missing ones "
           "are wrong, the answers of CuratedTREC are regular expressions.")
EXAMPLE = "realm score --questions=CuratedTrec.resplit.test.jsonl --predictions=answers.jsonl"


def define_flags() -> None:
  flags.DEFINE_string("questions", None, "JSON lines, an array or CSV, with "
                      "question and answer; gold_passage and source may be there.")
  flags.DEFINE_string("predictions", None, "JSONL with question and prediction, and passages "
                      "for recall: as many as `realm predict --passages` was given.")
  define_recall_at()
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.questions or not FLAGS.predictions:
    raise UserError("--questions and --predictions: name both files")
  check_there("predictions", "JSON lines with question and prediction")
  from realm_tf.datasets.questions import read_questions
  questions = read_questions(FLAGS.questions)
  from realm_tf.evaluation import orqa, predictions
  from realm_tf.report.tables import figure_table
  records = predictions.read_predictions(FLAGS.predictions)
  scores = predictions.file_figures(questions, records, FLAGS.predictions, recall_depths())
  answered = {record["question"]: record["prediction"] for record in records
              if "prediction" in record}
  if answered:  # a ranking alone has none
    scores = orqa.score_predictions(questions, answered) | scores
  print(json.dumps(scores) if FLAGS.json else figure_table(scores))
