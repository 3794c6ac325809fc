"""The command line in this process: what `realm` would return as its exit code, and say."""

import contextlib
import io
from typing import NamedTuple

from absl import flags, logging

from realm_tf.cli import main


def realm(*arguments) -> int:
  """Runs `realm` with these words; the flags of the command are gone afterwards."""
  before = set(flags.FLAGS)
  try:
    return main.run([str(argument) for argument in arguments])
  finally:
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)


class Finished(NamedTuple):
  """As of a process: what it printed, and on which stream; the log is on stderr."""
  returncode: int
  stdout: str
  stderr: str


def finished(*arguments) -> Finished:
  """As `realm`, for a test that reads what each of its commands says."""
  handler, out, err = logging.get_absl_handler().python_handler, io.StringIO(), io.StringIO()
  before = handler.setStream(err)
  try:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      code = realm(*arguments)
  finally:
    handler.setStream(before)
  return Finished(code, out.getvalue(), err.getvalue())
