"""`realm dpr`: supervised training of both towers."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import define_strategy
from realm_tf.cli.train_command import train_stage

SUMMARY = "Train both towers on questions, with hard negatives mined from the index."
EXAMPLE = f"realm dpr {DEMO}"
define_flags = define_strategy


def run(arguments: Sequence[str]) -> None:
  train_stage("dpr", arguments)
