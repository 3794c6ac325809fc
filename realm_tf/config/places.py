"""Where the paths of a config lead: they do not depend on where one stands.

A relative path is below the folder of its config file; `{data}/...` lies in `config.data`,
which is the user's cache by default. In a run's `config.json` what lies in the run, or in its
data, is written so again, and a run that was moved or copied finds it.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from realm_tf.config.settings import RealmConfig
from realm_tf.config.tree import SETTINGS, flatten, set_field, to_dict, with_changes
from realm_tf.files import PathLike

_DATA = "{data}/"


def cache() -> str:
  """Where weights are downloaded to, once for all runs of a user."""
  home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
  return os.path.join(os.path.abspath(home), "realm_tf")


def absolute(field: str, value: Any) -> Any:
  """What a setting is that was given here: a path is below the current directory."""
  is_path = SETTINGS[field].leads_to(value) and not value.startswith(_DATA)
  return os.path.abspath(value) if is_path else value


def _paths(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
  """The settings that lead somewhere, but for `data`, on which others depend."""
  return ((field, values[field]) for field, setting in SETTINGS.items()
          if field != "data" and setting.leads_to(values[field]))


def resolved(config: RealmConfig, folder: PathLike, or_here: bool = False) -> RealmConfig:
  """The config with absolute paths.

  Args:
    config: whose paths may be relative, or begin with {data}/.
    folder: that relative ones are below.
    or_here: one that does not lead to anything is below the current directory, if it leads
      to something there: as in runs of before.
  """
  values = flatten(to_dict(config))
  changes = {"data": config.data and _joined(folder, config.data, or_here)}
  for field, value in _paths(values):
    changes[field] = (
        os.path.join(changes["data"] or cache(), value.removeprefix(_DATA))
        if value.startswith(_DATA) else _joined(folder, value, or_here))
  return with_changes(config, changes)


def _joined(folder: PathLike, value: str, or_here: bool) -> str:
  path = os.path.abspath(os.path.join(folder, value))
  is_here = or_here and not os.path.exists(path) and os.path.exists(value)
  return os.path.abspath(value) if is_here else path


def portable_paths(config: RealmConfig, folder: PathLike) -> dict[str, Any]:
  """The config of the run in `folder` as nested values: the inverse of `resolved`."""
  tree = to_dict(config)
  for field, value in _as_written(config, folder):
    set_field(tree, field, value)
  return tree


def _as_written(config: RealmConfig, folder: PathLike) -> Iterator[tuple[str, str]]:
  values: Mapping[str, Any] = flatten(to_dict(config))
  data = config.data or cache()
  yield "data", "" if data == cache() else _below(data, folder, "")
  for field, value in _paths(values):
    if not value.startswith(_DATA):
      yield field, (_below(value, data, _DATA) if pathlib.PurePath(value).is_relative_to(data)
                    else _below(value, folder, ""))


def _below(value: str, folder: PathLike, prefix: str) -> str:
  """A path from a folder on, if it lies there."""
  place = pathlib.PurePath(os.path.abspath(folder))
  path = pathlib.PurePath(os.path.abspath(value))
  return prefix + str(path.relative_to(place)) if path.is_relative_to(place) else str(path)
