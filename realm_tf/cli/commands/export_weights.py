"""`realm export-weights`: a run's weights as folders of Hugging Face's Transformers."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more, open_run, open_to_export
from realm_tf.errors import UserError

SUMMARY = "Export the weights of a run as folders of Hugging Face's Transformers."
EXAMPLE = ("realm export-weights --workdir=runs/demo --stage=finetune --kind=reader "
           "--output=reader")


def define_flags() -> None:
  flags.DEFINE_string("weights", None, "Export an imported folder instead of a run.")
  flags.DEFINE_string("stage", None, "ict, pretrain, dpr, cloze or finetune; the newest by "
                      "default.")
  flags.DEFINE_string("kind", None, "embedder, query_embedder, scorer, encoder, reader or "
                      "openqa; all of them by default, each in a folder of its own.")
  flags.DEFINE_string("output", None, "Folder to write; new or empty.")
  flags.DEFINE_bool("json", False, "Of --weights: print what became of every tensor.")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  if not FLAGS.output:
    raise UserError("--output: name the folder to write")
  from realm_tf.run import outputs
  outputs.check_output(FLAGS.output)
  if FLAGS.weights:
    from realm_tf.cli.import_report import print_report
    from realm_tf.exchange.importing import import_weights
    print_report(import_weights([FLAGS.weights], FLAGS.output, kind=FLAGS.kind),
                 FLAGS.output, FLAGS.json)
    return
  opened = open_to_export(FLAGS.output, open_run)
  from realm_tf.run.export_weights import export_weights
  for line in export_weights(opened, FLAGS.stage or opened.newest_stage(), FLAGS.kind,
                             FLAGS.output):
    print(line)
