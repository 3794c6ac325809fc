"""`realm pretrain`: retriever and encoder together."""

from typing import Sequence

from realm_tf.cli import training

SUMMARY = "Pre-train retriever and encoder together, with asynchronous index refresh."
EXAMPLE = "realm pretrain --workdir=runs/demo --config.pretrain.steps=200 --redo=pretrain"


def define_flags() -> None:
  training.define_flags("pretrain")


def run(arguments: Sequence[str]) -> None:
  training.train("pretrain", arguments)
