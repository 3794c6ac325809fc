"""`realm finetune`: questions and answers."""

from typing import Sequence

from realm_tf.cli import train_command

SUMMARY = "Fine-tune on questions and answers; by default the document tower stays frozen."
EXAMPLE = "realm finetune --workdir=runs/demo --config.finetune.steps=50 --redo=finetune"


def define_flags() -> None:
  train_command.define_flags("finetune")


def run(arguments: Sequence[str]) -> None:
  train_command.train_stage("finetune", arguments)
