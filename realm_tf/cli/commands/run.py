"""`realm run`: all stages of a config."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import (
  FLAGS,
  at_work,
  define_redo,
  define_strategy,
  define_strict,
  no_more,
  open_to_train,
)
from realm_tf.config.owners import PARTS

SUMMARY = "Run all stages of a config in order; what is there already is not made again."
EXAMPLE = f"realm run {DEMO}"


def define_flags() -> None:
  define_strategy()
  define_strict()
  define_redo()


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_to_train(PARTS, one_process=True)
  from realm_tf.run import redo
  from realm_tf.run.pipeline import whole_run
  with at_work(opened):
    whole_run(opened, FLAGS.strict)
    redo.finish(opened.path)
