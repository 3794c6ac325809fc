"""A folder belongs to one config."""

import pathlib

from realm_tf import config as config_lib
from realm_tf import files, locks
from realm_tf.config import RealmConfig
from realm_tf.errors import UserError
from realm_tf.models import limits


def claim(config: RealmConfig, folder: pathlib.Path) -> None:
  """Writes the config into the folder, or compares it with the one there.

  One that nothing was made with yet is replaced: a path may have been mistyped.

  Raises:
    UserError: the folder was made with another one, or the config does not fit its weights.
  """
  path = folder / "config.json"
  if not path.exists():
    _write(config, path)
    return
  there = config_lib.flatten(config_lib.to_dict(config_lib.read(path)))
  ours = config_lib.flatten(config_lib.to_dict(config))
  different = [f"{key} ({there[key]} there, {ours[key]} now)"
               for key in ours if there[key] != ours[key]]
  if different and not config_lib.has_begun(folder):
    with locks.lock(folder / ".lock", folder, "another config"):
      _write(config, path)
  elif different:
    raise UserError(f"{folder}: made with another config: {', '.join(different)}; "
                    "give another --workdir, or the same values")


def _write(config: RealmConfig, path: pathlib.Path) -> None:
  parts = (config.retriever, config.encoder)
  if not config.assets or all(pathlib.Path(part.weights).is_dir() for part in parts):
    limits.check_weights(config)  # else they are still to be fetched
  files.write_json(path, config_lib.to_dict(config))
