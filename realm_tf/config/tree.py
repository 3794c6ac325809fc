"""A config as nested plain values, and back."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

import ml_collections

from realm_tf.config.fields import Setting, sections_of, settings_of, shown
from realm_tf.config.settings import RealmConfig
from realm_tf.errors import UserError

# Names of before, which configs and runs of that time have; they are still understood.
RENAMED = {
    "pretrain.refresh": "refresh.mode",
    "pretrain.refresh_every": "refresh.every",
    "pretrain.refresh_share": "refresh.share",
    "pretrain.max_staleness": "refresh.max_staleness",
    "pretrain.on_stale": "refresh.on_stale",
    "pretrain.rerank_factor": "refresh.rerank_factor",
    "pretrain.index_sample": "refresh.sample",
}
# Settings that are there no more, with the value that still means what it did.
REMOVED = {"pretrain.refresh_first": 0, "pretrain.prefetch_candidates": False}


def _all_settings(kind: type, prefix: str = "") -> dict[str, Setting]:
  settings = {prefix + name: setting for name, setting in settings_of(kind).items()}
  for name, section in sections_of(kind).items():
    settings |= _all_settings(section, f"{prefix}{name}.")
  return settings


SETTINGS = _all_settings(RealmConfig)  # of a whole config, by paths as in "ict.steps"


def to_dict(config: Any) -> dict[str, Any]:
  """A config as nested plain values, for JSON."""
  return dataclasses.asdict(config)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """{'a': {'b': 1}} -> {'a.b': 1}."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat.update(flatten(value, f"{prefix}{key}."))
    else:
      flat[f"{prefix}{key}"] = value
  return flat


def as_config_dict(config: RealmConfig) -> ml_collections.ConfigDict:
  """The config as what a `get_config()` returns: its fields can be assigned to.

  What is assigned is checked by `from_dict`, whose errors say what was expected.
  """
  return ml_collections.ConfigDict(to_dict(config), type_safe=False)


def from_dict(tree: Any) -> RealmConfig:
  """The inverse of `to_dict`; what is not there is as by default.

  Raises:
    UserError: an unknown key, another type, or a value out of range.
  """
  return _section(RealmConfig, renamed(tree), "config")


def set_field(tree: dict[str, Any], path: str, value: Any) -> None:
  """Sets one field of nested values: `path` is as "ict.steps"."""
  *sections, name = RENAMED.get(path, path).split(".")
  for section in sections:
    tree = tree.setdefault(section, {})
    if not isinstance(tree, dict):
      raise UserError(f"config.{section}: expected fields, got {shown(tree)}")
  tree[name] = value


def with_changes(config: RealmConfig, changes: Mapping[str, Any]) -> RealmConfig:
  """The config with other values of these fields, by paths; checked."""
  tree = to_dict(config)
  for path, value in changes.items():
    set_field(tree, path, value)
  return from_dict(tree)


def no_such_field(path: str) -> UserError:
  """The error for a field that is not there, which names the nearest that is."""
  path = path[:100]  # of whatever was given
  if path in sections_of(RealmConfig):
    example = next(name for name in SETTINGS if name.startswith(f"{path}."))
    return UserError(f"config.{path}: a group of fields, which are set one by one, as in "
                     f"config.{example}")
  names = [*SETTINGS, *RENAMED]
  alike = [name for name in names if name.split(".")[-1] == path.split(".")[-1]]
  near = difflib.get_close_matches(path, alike or names, n=1, cutoff=0.1 if alike else 0.6)
  if near:
    return UserError(f"config.{path}: no such field; the nearest is "
                     f"config.{RENAMED.get(near[0], near[0])}")
  section = sections_of(RealmConfig).get(path.partition(".")[0], RealmConfig)
  return UserError(f"config.{path}: no such field; {section.__name__} has "
                   f"{', '.join((*settings_of(section), *sections_of(section)))}")


def _section(kind: type, tree: Any, path: str) -> Any:
  if not isinstance(tree, dict):
    raise UserError(f"{path}: expected fields by name, got {shown(tree)}")
  settings, sections, values = settings_of(kind), sections_of(kind), {}
  for key, value in tree.items():
    if key in settings:
      values[key] = settings[key].checked(value, f"{path}.{key}")
    elif key in sections:
      values[key] = _section(sections[key], value, f"{path}.{key}")
    else:
      name = key if isinstance(key, str) else shown(key)
      raise no_such_field(f"{path}.{name}".removeprefix("config."))
  return kind(**values)


def renamed(tree: Any) -> Any:
  """Nested values, with the names of today for those of before."""
  if not isinstance(tree, dict):
    return tree
  current = {key: dict(value) if isinstance(value, dict) else value
             for key, value in tree.items()}
  for old, value in REMOVED.items():
    name = old.partition(".")[2]
    if _section_of(current, old).get(name) == value:
      del _section_of(current, old)[name]
  for old, new in RENAMED.items():
    old_section, new_section = (_section_of(current, path) for path in (old, new))
    name, new_name = (path.partition(".")[2] for path in (old, new))
    if name in old_section:
      if new_name in new_section:
        raise UserError(f"config.{old}: is config.{new} now, which is given too")
      set_field(current, new, old_section.pop(name))
  return current


def _section_of(tree: dict[str, Any], path: str) -> dict[str, Any]:
  section = tree.get(path.partition(".")[0])
  return section if isinstance(section, dict) else {}
