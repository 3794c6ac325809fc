"""`realm resplit`: train and dev of a data set, as ORQA split it."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, check_there, no_more
from realm_tf.counted import counted
from realm_tf.errors import UserError

SUMMARY = "Split a training set into train and dev as ORQA does, by a hash of the question."
EXAMPLE = ("realm resplit --questions=NQ-open.train.jsonl --name=NaturalQuestions "
           "--output=data")


def define_flags() -> None:
  flags.DEFINE_string("questions", None, "JSONL with question and answer, the training set.")
  flags.DEFINE_string("name", None, "NaturalQuestions, WebQuestions or CuratedTrec.")
  flags.DEFINE_string("output", None, "Folder for NAME.resplit.train.jsonl and .dev.jsonl.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.questions or not FLAGS.name or not FLAGS.output:
    raise UserError("--questions, --name and --output: name the training set, the data set "
                    "and the folder to write to")
  if "/" in FLAGS.name or "\0" in FLAGS.name:
    raise UserError(f"--name={FLAGS.name}: a part of the files' names, so it has no '/'; the "
                    "folder is that of --output")
  check_there("questions", "JSON lines with question and answer")
  from realm_tf.evaluation import orqa
  from realm_tf.run import outputs
  for path in orqa.resplit_paths(FLAGS.name, FLAGS.output).values():
    outputs.check_output(path, FLAGS.questions)
  for part, count in orqa.resplit(FLAGS.questions, FLAGS.name, FLAGS.output).items():
    print(f"{part}: {counted(count, 'question')}")
