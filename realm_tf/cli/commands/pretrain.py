"""`realm pretrain`: retriever and encoder together."""

from typing import Sequence

from realm_tf.cli import train_command

SUMMARY = "Pre-train retriever and encoder together, with asynchronous index refresh."
EXAMPLE = "realm pretrain --workdir=runs/demo --config.pretrain.steps=200 --redo=pretrain"


def define_flags() -> None:
  train_command.define_flags("pretrain")


def run(arguments: Sequence[str]) -> None:
  train_command.train_stage("pretrain", arguments)
