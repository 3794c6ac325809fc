"""`realm finetune`: questions and answers."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import define_strategy
from realm_tf.cli.train_command import train_stage

SUMMARY = "Fine-tune on questions and answers; document tower and index stay frozen."
EXAMPLE = f"realm finetune {DEMO}"
define_flags = define_strategy


def run(arguments: Sequence[str]) -> None:
  train_stage("finetune", arguments)
