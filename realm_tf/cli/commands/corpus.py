"""`realm corpus`: documents -> the corpus store."""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import (
  FLAGS,
  at_work,
  define_redo,
  define_strict,
  no_more,
  open_run,
)

SUMMARY = "Cut documents into blocks and write the corpus store."
EXAMPLE = "realm corpus --workdir=runs/demo"


def define_flags() -> None:
  flags.DEFINE_string("beam", None, "Cut documents, and look for the answers of trivia, by "
                      "Apache Beam pipelines with these options, such as "
                      "--beam='--runner=FlinkRunner'; workers must see WORKDIR.")
  define_strict()
  define_redo("corpus")


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run(writes=False, makes=["corpus"])
  from realm_tf.run import redo, stages
  with at_work(opened):
    stages.corpus(opened, FLAGS.strict, FLAGS.beam)
    redo.finish(opened.path, ["corpus"])
  print(f"corpus: done, see {opened.path}")
