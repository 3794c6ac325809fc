"""`realm predict`: answers to a file of questions."""

from typing import Sequence

from absl import flags

from realm_tf.cli import answer_flags
from realm_tf.cli.opening import FLAGS, check_there, define_checkpoint, no_more, open_to_use
from realm_tf.errors import UserError

SUMMARY = "Answer a file of questions."
EXAMPLE = "realm predict --workdir=runs/demo --questions=q.jsonl --output=answers.jsonl"


def define_flags() -> None:
  flags.DEFINE_string("questions", None, "JSON lines, an array or CSV, with "
                      "a field question; answer may be there.")
  flags.DEFINE_string("output", None, "JSONL to write: id, prediction, score, probability, "
                      "answers, passages.")
  flags.DEFINE_integer("passages", None, "How many passages each line lists, best first; as "
                       "many as are read by default.", lower_bound=1)
  answer_flags.define_answer_flags(top_n=5)
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.questions or not FLAGS.output:
    raise UserError("--questions and --output: name the file to read and the one to write")
  check_there("questions", "JSON lines with question")
  answer_flags.check_wanted()
  opened = open_to_use(writes=False, kept=False)
  from realm_tf.run import outputs
  from realm_tf.run.ask import predict_file
  outputs.check_output(FLAGS.output, FLAGS.questions)
  predict_file(opened, FLAGS.questions, FLAGS.output, FLAGS.passages,
               answer_flags.wanted())
