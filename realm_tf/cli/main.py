"""`realm COMMAND [flags]`: parse, build, call."""

import contextlib
import difflib
import os
import pathlib
import signal
import sys
import threading
from logging import ERROR, INFO, Formatter, LogRecord
from types import ModuleType
from typing import Iterator, Sequence

from absl import flags, logging

import realm_tf
from realm_tf import files, versions
from realm_tf.allocator import keep_freed_memory
from realm_tf.cli import commands, config_flags, opening
from realm_tf.errors import UserError
from realm_tf.training.stopping import Interrupted, answering

_OURS = "realm_tf.cli."  # of modules whose flags --help lists
_SERVERS = ("serve", "mcp")  # whose threads are many, and who give memory back


class _Plain(Formatter):
  """The time, and what is said: where in the code it was said helps no user."""

  def __init__(self) -> None:
    super().__init__("%(asctime)s %(kind)s%(message)s", "%H:%M:%S")

  def format(self, record: LogRecord) -> str:
    record.kind = "" if record.levelno <= INFO else f"{record.levelname.lower()}: "
    return super().format(record)


class Terminated(KeyboardInterrupt):
  """SIGTERM came: what is half written is removed on the way out, as with Ctrl-C."""


def _overview() -> str:
  lines = [f"realm {realm_tf.__version__}: retrieval-augmented language models",
           "", "usage: realm COMMAND [flags]", ""]
  lines += [f"  {name:14s} {commands.load_command(name).SUMMARY}" for name in commands.NAMES]
  lines += ["", "`realm help COMMAND` shows its flags and an example, `realm --version`",
            "what is installed and which kernels run on this processor."]
  return "\n".join(lines)


def _help(name: str, command: ModuleType) -> str:
  lines = [f"realm {name}: {command.SUMMARY}", "", "flags:"]
  for module, defined in flags.FLAGS.flags_by_module_dict().items():
    for flag in defined if module.startswith(_OURS) else ():
      default = "" if flag.default in (None, "", []) else f" (default: {flag.default})"
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
  logging.get_absl_handler().setFormatter(_Plain())
  logging.get_absl_handler().addFilter(
      lambda record: record.levelno >= ERROR
      or pathlib.Path(record.pathname).resolve().is_relative_to(ours))


def run(arguments: Sequence[str]) -> int:
  """Runs one command.

  The exit code is 2 where the user can mend what is wrong, and 130 or 143 where Ctrl-C or
  SIGTERM stopped it.
  """
  with _stopped_by_signals() as stops:
    try:
      return _run(arguments)
    except UserError as error:
      print(f"realm: {_one_line(error)}", file=sys.stderr)
      return 2
    except Interrupted as stop:
      print(f"realm: {stop}", file=sys.stderr)
      return 128 + stop.number
    except KeyboardInterrupt as stop:
      return _say_stopped(str(stop), stops)
    except Exception:
      if not stops:
        raise
      return _say_stopped("", stops)  # what was imported made another error of it


def _run(arguments: Sequence[str]) -> int:
  if arguments and arguments[0] == "help":
    arguments = [*arguments[1:2], "--help"]
  if not arguments or arguments[0] in ("--help", "-h"):
    print(_overview())
    return 0
  if arguments[0] == "--version":
    print(versions.version_report())
    return 0
  name, *rest = arguments
  if name not in commands.NAMES:
    near = difflib.get_close_matches(name[:100], commands.NAMES, n=1)
    raise UserError(f"'{name[:100]}': no such command; "
                    + (f"the nearest is {near[0]}; " if near else "")
                    + f"one of {', '.join(commands.NAMES)}")
  command = commands.load_command(name)
  words = _parse(name, command, rest)
  if words is None:
    return 0
  _show_our_log()
  opening.command_line[:] = arguments
  if name not in _SERVERS:
    keep_freed_memory()
  try:
    return command.run(words) or 0
  except (UserError, BrokenPipeError):
    raise
  except Exception as error:
    reason = files.system_reason(error)
    if reason is None:
      raise
    raise UserError(f"{files.in_one_line(error)}{files.remedy(reason)}") from error


def _say_stopped(message: str, stops: Sequence[int]) -> int:
  print(f"realm: {message or 'stopped; run the same command to go on'}", file=sys.stderr)
  return 128 + (stops[0] if stops else signal.SIGINT)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[list[int]]:
  """Lets SIGTERM and Ctrl-C raise, and collects them."""
  stops: list[int] = []
  if threading.current_thread() is not threading.main_thread():
    yield stops  # signals are not its business
    return

  def stop(number: int, frame: object) -> None:
    stops.append(number)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

  with answering(stop):
    yield stops


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
