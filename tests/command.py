"""The command line in this process: what `realm` would return as its exit code."""

from absl import flags

from realm_tf.cli import main


def realm(*arguments) -> int:
  """Runs `realm` with these words; the flags of the command are gone afterwards."""
  before = set(flags.FLAGS)
  try:
    return main.run([str(argument) for argument in arguments])
  finally:
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)
