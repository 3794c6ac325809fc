"""`realm score`: figures of a file of predictions."""

import json
from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more
from realm_tf.errors import UserError

SUMMARY = ("Score a file of predictions as ORQA's script does: missing ones are wrong, the "
           "answers of CuratedTREC are regular expressions.")
EXAMPLE = "realm score --questions=CuratedTrec.resplit.test.jsonl --predictions=answers.jsonl"


def define_flags() -> None:
  flags.DEFINE_string("questions", None, "JSONL with question and answer.")
  flags.DEFINE_string("predictions", None, "JSONL with question and prediction.")
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.questions or not FLAGS.predictions:
    raise UserError("--questions and --predictions: name both files")
  from realm_tf.datasets.questions import read_questions
  from realm_tf.evaluation import orqa
  scores = orqa.score_predictions(read_questions(FLAGS.questions),
                                  orqa.read_predictions(FLAGS.predictions))
  print(json.dumps(scores) if FLAGS.json else
        "\n".join(f"{name:20s} {value}" for name, value in scores.items()))
