"""`realm config`: the settings, what they mean, and what they are."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from realm_tf import config as config_lib
from realm_tf.cli import config_flags
from realm_tf.cli.opening import FLAGS, define_redo, open_run
from realm_tf.config.owners import parts_of
from realm_tf.errors import UserError
from realm_tf.run.redo import recover_redo

SUMMARY = "List settings, what they mean and are; with --config.FIELD=VALUE change a run's."
EXAMPLE = "realm config finetune --workdir=runs/demo"
_WIDTH = 94


def define_flags() -> None:
  flags.DEFINE_bool("json", False, "Print one JSON object, of an object for each setting.")
  define_redo()


def run(arguments: Sequence[str]) -> None:
  names = _named(arguments)
  values = config_lib.flatten(config_lib.to_dict(_config()))
  if FLAGS.json:
    print(json.dumps({name: _facts(name, values[name]) for name in names}, indent=2))
  else:
    print("\n".join(line for name in names for line in _lines(name, values[name])))


def _named(words: Sequence[str]) -> list[str]:
  """The settings that words name: fields, groups of them, or the beginnings of both."""
  names = [name for name in config_lib.SETTINGS
           if not words or any(name.startswith(word.removeprefix("config."))
                               for word in words)]
  for word in words:
    name = word.removeprefix("config.")
    if not any(full_name.startswith(name) for full_name in names):
      raise config_lib.no_such_field(name)
  return names


def _config() -> config_lib.RealmConfig:
  if not FLAGS.workdir and FLAGS.redo is not None:
    raise UserError("--redo: is of a run; name its folder by --workdir")
  if not FLAGS.workdir:
    return (config_flags.config("") if FLAGS.config is not None
            else config_lib.with_changes(config_lib.RealmConfig(), config_flags.given()))
  recover_redo(FLAGS.workdir)
  if FLAGS.redo is not None or config_flags.given() or FLAGS.config is not None:
    return open_run().config
  return config_lib.read_folder(FLAGS.workdir)


def _facts(name: str, value: Any) -> dict[str, Any]:
  setting = config_lib.SETTINGS[name]
  return {"value": value, "default": setting.default, "meaning": setting.meaning,
          "expected": setting.expected, "parts": list(parts_of(name))}


def _lines(name: str, value: Any) -> Iterator[str]:
  setting = config_lib.SETTINGS[name]
  default = "" if value == setting.default else f"   (default: {setting.default!r})"
  yield f"{name} = {value!r}{default}"
  parts = ", ".join(parts_of(name)) or "nothing, it may always change"
  yield textwrap.fill(f"{setting.meaning} -- {setting.expected}; made of it: {parts}", _WIDTH,
                      initial_indent="    ", subsequent_indent="    ",
                      break_on_hyphens=False, break_long_words=False)
