"""`realm compact`: files without what was deleted."""

from typing import Sequence

from realm_tf.cli.opening import at_work, no_more, open_run

SUMMARY = "Drop deleted documents from the files."
EXAMPLE = "realm compact --workdir=runs/demo"


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run(writes=False)
  from realm_tf.run import documents
  with at_work(opened):
    print(documents.compact(opened))
