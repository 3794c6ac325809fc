"""`realm ict`: the warm start of the retriever."""

from typing import Sequence

from realm_tf.cli.commands import DEMO
from realm_tf.cli.opening import define_strategy
from realm_tf.cli.train_command import train_stage

SUMMARY = "Warm-start the retriever by the Inverse Cloze Task."
EXAMPLE = f"realm ict {DEMO}"
define_flags = define_strategy


def run(arguments: Sequence[str]) -> None:
  train_stage("ict", arguments)
