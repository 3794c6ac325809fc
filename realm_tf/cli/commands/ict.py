"""`realm ict`: the warm start of the retriever."""

from typing import Sequence

from realm_tf.cli import training

SUMMARY = "Warm-start the retriever by the Inverse Cloze Task."
EXAMPLE = "realm ict --workdir=runs/demo --config.ict.steps=200 --redo=ict"


def define_flags() -> None:
  training.define_flags("ict")


def run(arguments: Sequence[str]) -> None:
  training.train("ict", arguments)
