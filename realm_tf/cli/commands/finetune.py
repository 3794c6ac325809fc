"""`realm finetune`: questions and answers."""

from typing import Sequence

from realm_tf.cli import training

SUMMARY = "Fine-tune on questions and answers; document tower and index stay frozen."
EXAMPLE = "realm finetune --workdir=runs/demo --config.finetune.steps=50 --redo=finetune"


def define_flags() -> None:
  training.define_flags("finetune")


def run(arguments: Sequence[str]) -> None:
  training.train("finetune", arguments)
