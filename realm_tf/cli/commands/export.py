"""`realm export`: a SavedModel from question strings to answers."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import (
  FLAGS,
  define_checkpoint,
  no_more,
  open_to_export,
  open_to_use,
)

SUMMARY = "Export a SavedModel from question strings to answers."
EXAMPLE = "realm export --workdir=runs/demo --flavour=portable"


def define_flags() -> None:
  flags.DEFINE_enum("flavour", "portable", ["portable", "native", "scann"],
                    "portable: stock TensorFlow and TF Text ops; native: our op; scann: "
                    "ScaNN's, approximate.")
  flags.DEFINE_string("output", None, "Folder of the versions, in which 1, 2 and so on are "
                      "SavedModels: TensorFlow Serving's base path; WORKDIR/export by "
                      "default.")
  define_checkpoint()


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_to_export(FLAGS.output, open_to_use)
  from realm_tf.run.export import export_run
  print(export_run(opened, FLAGS.flavour, FLAGS.output))
