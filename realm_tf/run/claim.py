"""A folder belongs to one config, of which a field may change while nothing is made of it."""

import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from absl import logging

from realm_tf import config as config_lib
from realm_tf import files, locks
from realm_tf.config import RealmConfig
from realm_tf.config.config_files import OF_RUN
from realm_tf.config.owners import PARTS, STAGES, implied
from realm_tf.errors import UserError
from realm_tf.models import limits
from realm_tf.run import redo as set_aside
from realm_tf.run import used
from realm_tf.run.commands_to_copy import command

_MOST = 5  # fields that an error names
_FOR_NOW = ("corpus", *STAGES, "index")  # what the answers of a command are made by


def claim(config: RealmConfig, folder: pathlib.Path, redo: Collection[str] = (),
          kept: bool = True, makes: Collection[str] = ()) -> None:
  """Writes the config into the folder, or compares it with the one there.

  One that nothing was made with yet is replaced: a path may have been mistyped. Else what is
  there of the parts that `redo` names, and of those that are made of them, is set aside (see
  `run.redo`), and the other parts must be made of the same settings as before.

  Args:
    config: of the run from now on.
    folder: of the run.
    redo: names of `owners.PARTS`.
    kept: else it counts for this process only, which makes nothing but answers.
    makes: the parts that are about to be made: what the files hold that these were made of
      must be as before, too.

  Raises:
    UserError: something that is there was made with another one, and is not to be made
      again; or the config does not fit its weights.
  """
  path = folder / OF_RUN
  set_aside.recover_redo(folder)
  if not path.exists():
    _write(config, path)
    return
  previous = config_lib.read(path)
  different = _different(previous, config)
  if different and not config_lib.has_begun(folder):
    with locks.lock(folder / ".lock", folder, "another config"):
      _write(config, path)
    return
  changed = used.affected(config, previous, folder, makes) if different or makes else {}
  if not kept:
    changed = {part: fields for part, fields in changed.items() if part in _FOR_NOW}
  _check(folder, previous, config, changed, redo)
  if kept and (different or redo):
    with locks.lock(folder / ".lock", folder, "another config"):
      _change(folder, previous, config, redo, changed)


def _change(folder: pathlib.Path, previous: RealmConfig, config: RealmConfig,
            redo: Collection[str], changed: Mapping[str, Any]) -> None:
  used.record_all(previous, folder)
  if not any(used.is_done(folder, stage) for stage in STAGES):
    _check_weights(config)
  for field, (before, now) in _different(previous, config).items():
    logging.info("config.%s: %s from now on, was %s", field, now, before)
  if not redo:
    files.write_json(folder / OF_RUN, config_lib.portable_paths(config, folder))
    return
  moved = set_aside.begin_redo(config, folder, redo, changed)
  if moved:
    logging.info("%s: what was there is kept: %s", folder, ", ".join(moved))


def _different(previous: RealmConfig, ours: RealmConfig) -> dict[str, tuple[Any, Any]]:
  """The fields that differ, with both values."""
  before, now = (config_lib.flatten(config_lib.to_dict(each)) for each in (previous, ours))
  return {field: (before[field], now[field]) for field in now if before[field] != now[field]}


def _check(folder: pathlib.Path, previous: RealmConfig, config: RealmConfig,
           changed: Mapping[str, Sequence[str]], redo: Collection[str]) -> None:
  brought = [part for part in PARTS if part in {*changed, *redo} & set(STAGES)
             and used.brought_from(folder, part)]
  if brought:
    raise UserError(f"{folder / brought[0]}: its model was brought here by `realm init`, and "
                    "cannot be made again; begin another run")
  missing = set(changed) - implied(set(redo))
  if not missing:
    return
  again = [part for part in PARTS if part in implied(missing) and used.is_there(folder, part)]
  others = {part: changed[part] for part in missing}
  adding = (_adding(folder, config) if "corpus.source" in others.get("corpus", ())
            and previous.corpus.source == config.corpus.source else "")
  raise UserError(
      f"{folder}: made with another config: {_in_words(folder, previous, config, others)}; "
      f"{adding}--redo={','.join(_roots({*missing, *redo}))} makes {', '.join(again)} again, "
      f"and keeps what is there as {again[0]}.1 or the like; or give another --workdir, "
      "or the same values")


def _adding(folder: pathlib.Path, config: RealmConfig) -> str:
  """How what is new in the documents comes into the run without training it anew."""
  add = command("add", folder, f"--documents={config.corpus.source}")
  half_done = next((stage for stage in STAGES if used.is_there(folder, stage)
                    and not used.is_done(folder, stage)), None)
  if half_done:
    return (f"{command(half_done, folder)} goes on with the documents as they were read, and "
            f"{add} takes in what is new afterwards, without training; ")
  return f"{add} takes in what is new, without training; "


def _in_words(folder: pathlib.Path, previous: RealmConfig, config: RealmConfig,
              changed: Mapping[str, Sequence[str]]) -> str:
  """Fields with the value that each was made of and that of now."""
  before, now = (config_lib.flatten(config_lib.to_dict(each)) for each in (previous, config))
  described = {}
  for part, fields in changed.items():
    recorded = used.recorded(folder, part) or {}
    for field in fields:
      made_of = before[field] if before[field] != now[field] else recorded.get(field)
      is_file = (config_lib.SETTINGS[field].leads_to(now[field])
                 and before[field] == now[field])
      described[field] = f"{field} " + (
          f"({now[field]} holds other things than then)" if is_file else
          f"({_shown(made_of)} there, {_shown(now[field])} now)")
  names = [described[field] for field in config_lib.SETTINGS if field in described]
  return ", ".join(names[:_MOST]) + (
      f" and {len(names) - _MOST} more" if len(names) > _MOST else "")


def _shown(value: Any) -> str:
  return "''" if value == "" else str(value)


def _roots(parts: Collection[str]) -> list[str]:
  """The fewest of them of which all others are made."""
  roots: list[str] = []
  for part in PARTS:
    if part in parts and part not in implied(set(roots)):
      roots.append(part)
  return roots


def _write(config: RealmConfig, path: pathlib.Path) -> None:
  _check_weights(config)
  files.write_json(path, config_lib.portable_paths(config, path.parent))


def _check_weights(config: RealmConfig) -> None:
  parts = (config.retriever, config.encoder)
  if not config.assets or all(pathlib.Path(part.weights).is_dir() for part in parts):
    limits.check_weights(config)  # else they are still to be fetched
