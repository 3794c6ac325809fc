"""`realm calibrate`: probabilities that say how often answers are right."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, check_there, define_checkpoint, no_more, open_to_use

SUMMARY = "Fit on dev questions how probable answers are, and when to give none."
EXAMPLE = "realm calibrate --workdir=runs/demo --questions=dev.jsonl"


def define_flags() -> None:
  flags.DEFINE_string("questions", None, "JSON lines, an array or CSV, with "
                      "question and answer, neither trained on nor evaluated; the run's dev "
                      "questions by default.")
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  check_there("questions", "JSON lines with question and answer")
  opened = open_to_use()
  from realm_tf.report.calibration_table import in_words
  from realm_tf.run import old_export
  from realm_tf.run.calibrate import calibrate
  calibration = calibrate(opened, opened.newest_stage(), FLAGS.questions)
  print(in_words(calibration))
  if line := old_export.advice(opened):
    print(line)
