"""`realm cloze`: the span head, from documents alone."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import define_strategy
from realm_tf.cli.train_command import train_stage

SUMMARY = "Train the span head on cloze questions of the documents; it needs no labels."
EXAMPLE = f"realm cloze {DEMO} --config.cloze.steps=300"
define_flags = define_strategy


def run(arguments: Sequence[str]) -> None:
  train_stage("cloze", arguments)
