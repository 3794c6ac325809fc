"""`realm cloze`: the span head, from documents alone."""

from typing import Sequence

from realm_tf.cli import train_command

SUMMARY = "Train the span head on cloze questions of the documents; it needs no labels."
EXAMPLE = "realm cloze --workdir=runs/demo --config.cloze.steps=300 --redo=cloze"


def define_flags() -> None:
  train_command.define_flags("cloze")


def run(arguments: Sequence[str]) -> None:
  train_command.train_stage("cloze", arguments)
