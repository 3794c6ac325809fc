"""What a change of config is worth: finished runs beside the run that they were copied from.

    cp -r runs/wiki26k runs/distilled
    realm finetune --workdir=runs/distilled --config.finetune.distill=1 --redo=finetune
    realm evaluate --workdir=runs/distilled
    python benchmarks/changed_runs.py --json=benchmarks/results/changed_runs.json \\
        --table="wiki26k, seed 0" runs/wiki26k distilled=runs/distilled

The first is the base. Of each other it is read from both `config.json` what is changed, and
both evaluations are compared question by question: difference in points, and the 95 %
interval of the paired bootstrap. The table of that name is written anew, others stay.
"""

import json
import os
import pathlib
from typing import Any

from absl import app, flags

_JSON = flags.DEFINE_string("json", None, "Where tables are kept; without, it is printed.")
_TABLE = flags.DEFINE_string("table", "runs", "The name of this one.")
_STAGE = flags.DEFINE_string("stage", "finetune", "Whose evaluation is compared.")
_FIGURES = ("recall@1_by_gold", "recall@5_by_gold", "recall@20_by_gold", "exact_match", "f1")
_DEPTHS = (1, 5, 20)


def _settings(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
  """By dotted name."""
  found = {}
  for name, value in section.items():
    found |= (_settings(value, f"{prefix}{name}.") if isinstance(value, dict)
              else {f"{prefix}{name}": value})
  return found


def changes(base: pathlib.Path, run: pathlib.Path) -> dict[str, Any]:
  """The settings of `run` that are not those of `base`; of a path its last part.

  What one of them is too old to name has its default.
  """
  from realm_tf import config  # pylint: disable=import-outside-toplevel
  before, after = (_settings(config.to_dict(config.read_folder(folder)))
                   for folder in (base, run))
  return {name: pathlib.Path(value).name if os.path.isabs(str(value)) else value
          for name, value in after.items() if before[name] != value}


def beside(base: pathlib.Path, run: pathlib.Path, stage: str) -> dict[str, list[float]]:
  """Of each figure, in percent: base, run, difference, least and most of its interval."""
  from realm_tf.evaluation import compare  # pylint: disable=import-outside-toplevel
  from realm_tf.run import comparing  # pylint: disable=import-outside-toplevel
  paths = [comparing.named_predictions(folder, stage) for folder in (base, run)]
  compared = compare.compare(*comparing.paired(paths, None, _DEPTHS))
  return {name: [round(100 * value, 1) for value in (
      one.a, one.b, one.difference, one.low, one.high)]
          for name in _FIGURES if (one := compared.get(name)) is not None}


def main(argv) -> None:
  from realm_tf import files  # pylint: disable=import-outside-toplevel
  named = [name.partition("=") for name in argv[2:]]
  if not named or not all(folder for _, _, folder in named):
    raise app.UsageError("name the base, and then others as NAME=FOLDER")
  base = pathlib.Path(argv[1])
  table = {"stage": _STAGE.value, "rows": {
      name: {"changes": changes(base, pathlib.Path(folder)),
             "base, changed, difference, interval": beside(
                 base, pathlib.Path(folder), _STAGE.value)}
      for name, _, folder in named}}
  print(json.dumps(table, indent=1))
  if _JSON.value:
    path = pathlib.Path(_JSON.value)
    files.write_json(path, (files.read_json(path) if path.exists() else {})
                     | {_TABLE.value: table})


if __name__ == "__main__":
  app.run(main)
