"""`realm corpus`: documents -> the corpus store."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import FLAGS, at_work, define_strict, no_more, open_run

SUMMARY = "Cut documents into blocks and write the corpus store."
EXAMPLE = f"realm corpus {DEMO}"
define_flags = define_strict


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run(writes=False)
  from realm_tf.run import stages
  with at_work(opened):
    stages.corpus(opened, FLAGS.strict)
  print(f"corpus: done, see {opened.path}")
