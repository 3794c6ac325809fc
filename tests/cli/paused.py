"""Runs a command that stops at a call, says so, and goes on when it is told to.

    python -m tests.cli.paused MODULE NAME COMMAND [flags]
"""

import contextlib
import importlib
import pathlib
import subprocess
import sys
from typing import Iterator

_ROOT = pathlib.Path(__file__).parents[2]


@contextlib.contextmanager
def paused(call: str, *command) -> Iterator[subprocess.Popen]:
  """The process, which stands at the first call of `module:name`, before it is made."""
  with subprocess.Popen(
      [sys.executable, "-m", "tests.cli.paused", call, *map(str, command)], cwd=_ROOT,
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
      ) as process:
    try:
      line = process.stdout.readline()
      assert line == "paused\n", line + process.stderr.read()
      yield process
    finally:
      process.kill()


def _main(call: str, *command: str) -> None:
  from realm_tf.cli import main  # pylint: disable=import-outside-toplevel
  module, _, names = call.partition(":")
  *parents, name = names.split(".")
  owner = importlib.import_module(module)
  for parent in parents:
    owner = getattr(owner, parent)
  original = getattr(owner, name)

  def pausing(*arguments, **keywords):
    setattr(owner, name, original)
    print("paused", flush=True)
    sys.stdin.readline()
    return original(*arguments, **keywords)

  setattr(owner, name, pausing)
  sys.exit(main.run(command))


if __name__ == "__main__":
  _main(*sys.argv[1:])
