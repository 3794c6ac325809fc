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
  from realm_tf.run import old_export
  from realm_tf.run.calibrate import calibrate
  calibration = calibrate(opened, opened.newest_stage(), FLAGS.questions)
  print(f"{calibration.rule}; {calibration.questions} questions")
  for name, value in calibration.figures.items():
    print(f"{name:35s} {value:.4f}")
  for precision in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
    points = [point for point in calibration.curve if point.precision >= precision]
    if points:
      point = min(points)
      print(f"--precision={precision:<5g} threshold {point.threshold:.3f}, answers "
            f"{point.coverage * 100:.1f} %")
  if line := old_export.advice(opened):
    print(line)
