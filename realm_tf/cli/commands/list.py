"""`realm list`: what is in a run."""

from typing import Sequence

from realm_tf.cli.opening import no_more, open_run

SUMMARY = "List what is in a run: documents, stages, versions of the index, export."
EXAMPLE = "realm list --workdir=runs/demo"


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run(writes=False, kept=False)
  from realm_tf.run.contents import contents
  print("\n".join(contents(opened)))
