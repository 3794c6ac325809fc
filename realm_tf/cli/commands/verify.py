"""`realm verify`: is all of a run what was once written there?"""

from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, no_more, open_run

SUMMARY = "Check every file against its checksum, and the index against its tower."
EXAMPLE = "realm verify --workdir=runs/demo"


def define_flags() -> None:
  flags.DEFINE_integer("sample", 64, "Rows of each index that are embedded again.",
                       lower_bound=1)


def run(arguments: Sequence[str]) -> None:
  no_more(arguments)
  opened = open_run(writes=False, kept=False)
  from realm_tf.run.verify import verify
  for line in verify(opened, FLAGS.sample):
    print(line)
