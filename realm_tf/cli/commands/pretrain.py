"""`realm pretrain`: retriever and encoder together."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import define_strategy
from realm_tf.cli.train_command import train_stage

SUMMARY = "Pre-train retriever and encoder together, with asynchronous index refresh."
EXAMPLE = f"realm pretrain {DEMO} --config.pretrain.steps=200"
define_flags = define_strategy


def run(arguments: Sequence[str]) -> None:
  train_stage("pretrain", arguments)
