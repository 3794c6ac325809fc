"""`realm diagnose`: the gradient of pre-training against the sum over all blocks."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more, open_run

SUMMARY = "Measure the gradient of a truncated and stale retrieval against the full sum."
EXAMPLE = "realm diagnose --workdir=runs/demo --blocks=0"


def define_flags() -> None:
  flags.DEFINE_string("stage", None, "ict, pretrain or dpr; the newest of them by "
                      "default.")
  flags.DEFINE_integer("sentences", None, "How many; config.diagnosis.sentences by default.",
                       lower_bound=1)
  flags.DEFINE_integer("blocks", None, "How many are summed for each sentence, 0 for all; "
                       "config.diagnosis.blocks by default.", lower_bound=0)
  flags.DEFINE_string("json", None, "Write the figures to this file too.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run()
  from realm_tf import files
  from realm_tf.diagnosis import summary
  from realm_tf.run import diagnose, outputs
  from realm_tf.run.folder import WITHOUT_WORDS
  stage = FLAGS.stage or opened.stage_before(WITHOUT_WORDS[0])
  if FLAGS.json:
    outputs.check_output(FLAGS.json)
  figures = diagnose.diagnose(opened, stage, FLAGS.sentences, FLAGS.blocks)
  print(summary.table(figures))
  path = diagnose.json_path(opened, stage)
  print(f"\nsee {path} and {path.with_suffix('.html')}")
  if FLAGS.json:
    files.write_json(FLAGS.json, figures)
