"""--config=FILE, and a flag for each of its fields, as in --config.pretrain.steps=200."""

import contextlib
import difflib
import functools
import math
from typing import Any, Iterator, Sequence

from absl import flags

from realm_tf import config as config_lib
from realm_tf.config import RENAMED, SETTINGS, RealmConfig
from realm_tf.errors import UserError

_FIELDS = SETTINGS | {old: SETTINGS[new] for old, new in RENAMED.items()}
# Under a module of their own, since a command's --help cannot list a hundred fields.
_MODULE = "realm_tf.config"
# How one value can stand for two.
_IN_ONE = {"documents": ", with the folder above both", "redo": ", with commas between"}


def define_config_flags() -> None:
  flags.DEFINE_string(
      "config", None, "Config file, or the name of one in the package, such as demo; "
      "single fields are set by --config.pretrain.steps=200. Not needed where --workdir "
      "holds a run.")
  for path, setting in _FIELDS.items():
    # A bool can be set without a value: --config.deterministic, --noconfig.deterministic.
    make = flags.DEFINE_boolean if setting.kind is bool else flags.DEFINE_string
    make(f"config.{path}", None, f"{setting.meaning}; {setting.expected}",
         module_name=_MODULE)


def config(workdir: str) -> RealmConfig:
  """The config that --config names, or that of the run in `workdir`, with fields by flags."""
  changes = given()
  if flags.FLAGS.config == "":
    raise UserError("--config: name a file, or a config by its name, such as demo")
  if flags.FLAGS.config is not None:
    return config_lib.read(flags.FLAGS.config, changes)
  return config_lib.read_folder(workdir, changes)


def given() -> dict[str, Any]:
  """The fields that flags set, by paths as in "ict.steps"; their values, checked.

  A path is below the current directory, as in any command.
  """
  all_flags = {path: flags.FLAGS[f"config.{path}"] for path in _FIELDS}
  changes: dict[str, Any] = {}
  for path, flag in all_flags.items():
    if not flag.present:
      continue
    name = RENAMED.get(path, path)
    if name in changes:
      raise UserError(f"--config.{path}: is --config.{name} now, which is given too")
    value: Any = flag.value
    changes[name] = value if isinstance(value, bool) else config_lib.absolute(
        name, _FIELDS[path].parsed(value, f"--config.{path}"))
  return changes


def parse(command: str, arguments: Sequence[str]) -> list[str]:
  """Sets the flags of a command; returns the words that are none.

  Raises:
    UserError: a flag or a --flagfile that is not there, a value that is none, or two values
      for one.
  """
  try:
    with _once_each(arguments):
      words = flags.FLAGS([f"realm {command}", *arguments])[1:]
  except UserError:
    raise
  except flags.UnrecognizedFlagError as error:
    raise _unknown(error.flagname) from error
  except flags.CantOpenFlagFileError as error:
    raise UserError(f"--flagfile: {error.__context__}") from error
  except UnicodeDecodeError as error:
    raise UserError(f"--flagfile: not UTF-8 (byte {error.start})") from error
  except RecursionError as error:  # absl looks for names that are alike
    raise UserError(f"a name of many letters: no such flag; see `realm {command} --help`"
                    ) from error
  except (flags.Error, ValueError) as error:
    raise UserError(f"{str(error)[:300]}; see `realm {command} --help`") from error
  _refuse_no_numbers()
  return words


@contextlib.contextmanager
def _once_each(arguments: Sequence[str]) -> Iterator[None]:
  """Refuses a second value for a flag that takes one: absl would silently take the last.

  Lists, and --config.FIELD, stay as absl has them, and so does what a flag file sets first.
  """
  if any(word.lstrip("-").split("=")[0] == "flagfile" for word in arguments):
    yield
    return
  single = {id(flag): flag for flag in map(flags.FLAGS.__getitem__, flags.FLAGS)
            if not (flag.name.startswith("config.") or isinstance(flag, flags.MultiFlag)
                    or isinstance(flag.parser, flags.BaseListParser))}.values()
  given_before: dict[str, Any] = {}
  for flag in single:
    # Hides that of its class, since absl tells nobody else what is given.
    vars(flag)["parse"] = functools.partial(_parse_once, flag, given_before)
  try:
    yield
  finally:
    for flag in single:
      del vars(flag)["parse"]


def _parse_once(flag: flags.Flag, given_before: dict[str, Any], word: str) -> None:
  type(flag).parse(flag, word)
  first = given_before.setdefault(flag.name, flag.value)
  if repr(flag.value) != repr(first):  # a NaN is no other than itself
    raise UserError(f"--{flag.name} is given twice: {_shown(first)} and {_shown(flag.value)}"
                    f"; give it once{_IN_ONE.get(flag.name, '')}")


def _shown(value: Any) -> str:
  return repr(value)[:200]


def _refuse_no_numbers() -> None:
  """NaN is below no bound, and absl takes it for within."""
  for name in flags.FLAGS:
    flag = flags.FLAGS[name]
    if (getattr(flag.parser, "lower_bound", None) is not None
        and isinstance(flag.value, float) and not math.isfinite(flag.value)):
      raise UserError(f"--{name}={flag.value}: expected a number")


def _unknown(name: str) -> UserError:
  """The error for a flag that is not there, which names the nearest that is."""
  if name.startswith("config."):
    return UserError(f"--{config_lib.no_such_field(name.removeprefix('config.'))}")
  names = [flag for flag in flags.FLAGS if not flag.startswith("config.")]
  near = difflib.get_close_matches(name[:100], names, n=1)
  return UserError(f"--{name[:100]}: no such flag"
                   + (f"; the nearest is --{near[0]}" if near else ""))
