"""`realm ict`: the warm start of the retriever."""

from typing import Sequence

from realm_tf.cli import train_command

SUMMARY = "Warm-start the retriever by the Inverse Cloze Task."
EXAMPLE = "realm ict --workdir=runs/demo --config.ict.steps=200 --redo=ict"


def define_flags() -> None:
  train_command.define_flags("ict")


def run(arguments: Sequence[str]) -> None:
  train_command.train_stage("ict", arguments)
