"""Config files: a run's `config.json`, or Python with a function `get_config()`.

In the folder of a run there may be both: `config.py`, as `realm init` wrote it and people
change it, and `config.json`, what the run is made with.
"""

import json
import pathlib
import sys
import traceback
import types
from typing import Any, Mapping

from absl import logging

from realm_tf.config.fields import shown
from realm_tf.config.places import resolved
from realm_tf.config.settings import RealmConfig
from realm_tf.config.tree import from_dict, renamed, set_field, to_dict
from realm_tf.errors import UserError
from realm_tf.files import PathLike, missing

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_DIGITS = 100  # Python refuses to read more than some thousand
_RECIPES = pathlib.Path(__file__).parents[1] / "recipes"
OF_PEOPLE, OF_RUN = "config.py", "config.json"


def read(path: PathLike, changes: Mapping[str, Any] | None = None) -> RealmConfig:
  """The config in a file, checked.

  Args:
    path: see `read_tree`.
    changes: fields that are to have other values, by paths as in "ict.steps".

  Relative paths are below the folder of the file; those of a config of the package, which
  are arguments, below the current directory.

  Raises:
    UserError: it cannot be read, or is no config; one line names the field.
  """
  tree, changes = read_tree(path), changes or {}
  try:
    tree = renamed(tree)
    for field, value in changes.items():
      set_field(tree, field, value)
    config = from_dict(tree)
  except UserError as error:
    if str(error).partition(":")[0].removeprefix("config.") in changes:
      raise  # the file is not to blame
    raise UserError(f"{path}: {error}") from None
  place = _split(str(path))[0]
  folder = "." if place.parent == _RECIPES else place.parent
  return resolved(config, folder, or_here=place.name == OF_RUN)


def read_folder(folder: PathLike, changes: Mapping[str, Any] | None = None) -> RealmConfig:
  """The config of a run by its folder.

  `config.py` counts until the run has a corpus, which is the first thing that is made; from
  then on `config.json`. Where the other was changed since, a warning says so.

  Raises:
    UserError: as `read`, or there is neither.
  """
  own_config, run_config = (pathlib.Path(folder, name) for name in (OF_PEOPLE, OF_RUN))
  if own_config.exists() and not (run_config.exists() and has_begun(folder)):
    return read(own_config, changes)
  if not run_config.exists():
    raise UserError(f"{folder}: {missing(folder, 'config.json')}; give --config for a new "
                    "run, or begin one by `realm init`")
  config = read(run_config, changes)
  if (own_config.exists() and own_config.stat().st_mtime > run_config.stat().st_mtime
      and _says_else(own_config, config)):  # and was not only copied later
    logging.warning("%s: was changed after the run had begun, and is not read any more: the "
                    "run is made with %s; --config=%s takes the changes over", own_config,
                    run_config.name, own_config)
  return config


def _says_else(path: pathlib.Path, config: RealmConfig) -> bool:
  try:
    return read(path) != config
  except UserError:
    return True


def has_begun(folder: PathLike) -> bool:
  """Whether something was made in the folder of a run that depends on its config."""
  return pathlib.Path(folder, "corpus").exists()


def recipes() -> list[str]:
  """The names of the configs that come with the package."""
  return sorted(path.stem for path in _RECIPES.glob("[a-z]*.py"))


def read_tree(path: PathLike) -> dict[str, Any]:
  """The nested values in a config file, which are not checked yet.

  JSON is told from Python by its name, .json, or by how it begins. Of Python,
  `FILE.py:word` calls `get_config("word")`. A name in `recipes()` is that of a file too.

  Raises:
    UserError: it cannot be read, or fails; with the number of its line.
  """
  path, argument = _split(str(path))
  try:
    data = path.read_bytes()
  except FileNotFoundError:
    by_name = "" if path.suffix else f", and no config by name: {', '.join(recipes())}"
    raise UserError(f"{path}: no such file{by_name}") from None
  except OSError as error:
    raise UserError(f"{path}: {error.strerror}") from None
  begins = data.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
  if path.suffix == ".json" or begins in (b"{", b"["):
    return _json(path, data)
  return _python(path, data, argument)


def _split(name: str) -> tuple[pathlib.Path, list[str]]:
  before, colon, argument = name.partition(":")
  if colon and not pathlib.Path(name).exists():
    return _place(before), [argument]
  return _place(name), []


def _place(name: str) -> pathlib.Path:
  path = pathlib.Path(name)
  return _RECIPES / f"{name}.py" if name in recipes() and not path.is_file() else path


def _json(path: pathlib.Path, data: bytes) -> dict[str, Any]:
  try:
    tree = json.loads(
        data.decode("utf-8-sig"), object_pairs_hook=_each_once, parse_int=_whole)
  except UnicodeDecodeError as error:
    raise UserError(f"{path}: not UTF-8 (byte {error.start})") from None
  except json.JSONDecodeError as error:
    raise UserError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
  except RecursionError:
    raise UserError(f"{path}: nested too deeply for a config") from None
  except UserError as error:
    raise UserError(f"{path}: {error}") from None
  if not isinstance(tree, dict):
    raise UserError(f"{path}: expected a JSON object of a config's fields, got "
                    f"{shown(tree)}")
  return tree


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  fields: dict[str, Any] = {}
  for name, value in pairs:
    if name in fields:
      raise UserError(f"field {shown(name)} is given twice, as {shown(fields[name])} and "
                      f"{shown(value)}")
    fields[name] = value
  return fields


def _whole(digits: str) -> int | float:
  return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _python(path: pathlib.Path, data: bytes, argument: list[str]) -> dict[str, Any]:
  module = types.ModuleType("realm_config_file")
  module.__file__ = str(path)
  sys.modules[module.__name__] = module  # as dataclasses, and whoever asks for it, expect
  try:
    exec(compile(data, str(path), "exec"), vars(module))  # pylint: disable=exec-used
    if not callable(getattr(module, "get_config", None)):
      raise UserError(f"{path}: no function get_config() in it; see {_RECIPES}/own.py")
    return _tree(module.get_config(*argument), path)
  except KeyboardInterrupt:
    raise
  except BaseException as error:  # it is Python, and may fail in any way
    raise UserError(_told(error, path)) from error


def _tree(config: Any, path: pathlib.Path) -> dict[str, Any]:
  """What `get_config()` returned: a RealmConfig, a ConfigDict, or nested values."""
  if isinstance(config, RealmConfig):
    return to_dict(config)
  if hasattr(config, "to_dict"):
    config = config.to_dict()
  if not isinstance(config, dict):
    raise UserError(f"{path}: get_config() returned {shown(config)}; expected "
                    f"as_config_dict(RealmConfig(...)), as in {_RECIPES}/own.py")
  return config


def _told(error: BaseException, path: pathlib.Path) -> str:
  """An error of a config file in one line, with the line of the file if there is one."""
  if isinstance(error, SyntaxError) and error.filename == str(path):
    return f"{path}:{error.lineno}: {type(error).__name__}: {error.msg}"
  message = (str(error) if isinstance(error, UserError)
             else traceback.format_exception_only(error)[-1].strip())
  if message.startswith(str(path)):
    return message
  lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
           if frame.filename == str(path)]
  return f"{path}:{lines[-1]}: {message}" if lines else f"{path}: {message}"
