"""`realm COMMAND [flags]`: parse, build, call."""

import contextlib
import os
import pathlib
import signal
import sys
import threading
from logging import ERROR
from types import ModuleType
from typing import TYPE_CHECKING, Iterator, Sequence

from absl import flags, logging

import realm_tf
from realm_tf import files, versions
from realm_tf.cli import commands, config_flags, opening
from realm_tf.errors import UserError

if TYPE_CHECKING:
  from realm_tf.training.loop import Interrupted

_OURS = "realm_tf.cli."  # of modules whose flags --help lists


class Terminated(KeyboardInterrupt):
  """SIGTERM came: what is half written is removed on the way out, as with Ctrl-C."""


def _overview() -> str:
  lines = [f"realm {realm_tf.__version__}: retrieval-augmented language models",
           "", "usage: realm COMMAND [flags]", ""]
  lines += [f"  {name:14s} {commands.load_command(name).SUMMARY}" for name in commands.NAMES]
  lines += ["", "`realm COMMAND --help` shows its flags and an example, `realm --version`",
            "what is installed and which kernels run on this processor."]
  return "\n".join(lines)


def _help(name: str, command: ModuleType) -> str:
  lines = [f"realm {name}: {command.SUMMARY}", "", "flags:"]
  for module, defined in flags.FLAGS.flags_by_module_dict().items():
    for flag in defined if module.startswith(_OURS) else ():
      default = "" if flag.default is None else f" (default: {flag.default})"
      lines.append(f"  --{flag.name}: {flag.help}{default}")
  lines += ["", "example:", f"  {command.EXAMPLE}"]
  return "\n".join(lines)


def _parse(name: str, command: ModuleType, arguments: Sequence[str]) -> list[str] | None:
  """The words that are not flags; None if help was asked for, and given."""
  opening.define_run_flags()
  getattr(command, "define_flags", lambda: None)()
  if any(word in ("--help", "-h", "-help") for word in arguments):
    print(_help(name, command))
    return None
  return config_flags.parse(name, arguments)


def _one_line(error: BaseException) -> str:
  return " ".join(str(error).split())


def _show_our_log() -> None:
  """Shows what our own modules log; of the libraries, whose notes nobody here can use,
  errors alone."""
  ours = pathlib.Path(realm_tf.__file__).resolve().parent
  logging.use_absl_handler()
  logging.set_verbosity(logging.INFO)
  logging.get_absl_handler().addFilter(
      lambda record: record.levelno >= ERROR
      or pathlib.Path(record.pathname).resolve().is_relative_to(ours))


def run(arguments: Sequence[str]) -> int:
  """Runs one command.

  The exit code is 2 where the user can mend what is wrong, and 130 or 143 where Ctrl-C or
  SIGTERM stopped it.
  """
  if not arguments or arguments[0] in ("--help", "-h", "help"):
    print(_overview())
    return 0
  if arguments[0] == "--version":
    print(versions.version_report())
    return 0
  name, *rest = arguments
  try:
    if name not in commands.NAMES:
      raise UserError(f"'{name}': no such command; one of {', '.join(commands.NAMES)}")
    command = commands.load_command(name)
    words = _parse(name, command, rest)
    if words is None:
      return 0
    _show_our_log()
    opening.command_line[:] = arguments
    with _sigterm_raises():
      return _call(command, words)
  except UserError as error:
    print(f"realm: {_one_line(error)}", file=sys.stderr)
    return 2


def _call(command: ModuleType, words: Sequence[str]) -> int:
  try:
    return command.run(words) or 0
  except UserError:
    raise
  except _interrupted() as stop:
    print(f"realm: {stop}", file=sys.stderr)
    return 128 + stop.number
  except KeyboardInterrupt as stop:
    print(f"realm: {str(stop) or 'stopped; run the same command to go on'}",
          file=sys.stderr)
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
  except BrokenPipeError:
    raise
  except Exception as error:
    reason = files.system_reason(error)
    if reason is None:
      raise
    raise UserError(f"{files.in_one_line(error)}{files.remedy(reason)}") from error


def _interrupted() -> "type[Interrupted]":
  """Imported once there is something to catch: TensorFlow comes with it."""
  from realm_tf.training.loop import Interrupted  # pylint: disable=import-outside-toplevel
  return Interrupted


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
  if threading.current_thread() is not threading.main_thread():
    yield  # signals are not its business
    return

  def stop(number: int, frame: object) -> None:
    raise Terminated

  before = signal.signal(signal.SIGTERM, stop)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


def main() -> None:
  code = 0
  try:
    code = run(sys.argv[1:])
    sys.stdout.flush()
  except OSError as error:
    if isinstance(error, BrokenPipeError):  # nobody reads on, and nothing is wrong
      code = 128 + signal.SIGPIPE
    elif not code:
      print(f"realm: standard output: {error.strerror}", file=sys.stderr)
      code = 2
    # Python would try again at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  sys.exit(code)


if __name__ == "__main__":
  main()
