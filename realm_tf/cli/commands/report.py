"""`realm report`: a run as one HTML page."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more, open_run

SUMMARY = "Make one HTML page of a run: curves, recall, staleness, examples, answers."
EXAMPLE = "realm report --workdir=runs/demo"


def define_flags() -> None:
  flags.DEFINE_string("output", None, "The HTML file; WORKDIR/report.html by default.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run(writes=False)
  from realm_tf.run import outputs
  from realm_tf.run.make_report import make_report
  if FLAGS.output:
    outputs.check_output(FLAGS.output)
  print(make_report(opened, FLAGS.output))
