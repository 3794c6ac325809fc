"""`realm dpr`: supervised training of both towers."""

from typing import Sequence

from realm_tf.cli import train_command

SUMMARY = "Train both towers on questions, with hard negatives mined from the index."
EXAMPLE = "realm dpr --workdir=runs/demo --config.dpr.steps=200 --redo=dpr"


def define_flags() -> None:
  train_command.define_flags("dpr")


def run(arguments: Sequence[str]) -> None:
  train_command.train_stage("dpr", arguments)
