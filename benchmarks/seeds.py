"""What the runs of one config by several seeds reached: mean, least and most of each figure.

    python benchmarks/seeds.py --json=benchmarks/results/wiki26k_short.json RUN RUN RUN

Each RUN is the folder of a run that `realm run` ended; read are its `config.json` and the
figures in `evaluation/`, so a copy of these two is enough. Figures are in percent.
"""

import json
import pathlib
import statistics

from absl import app, flags

from realm_tf import files

_JSON = flags.DEFINE_string("json", None, "Where to write the figures of all runs.")
_STAGES = ("bm25", "warm_start", "ict", "pretrain", "dpr", "cloze", "finetune",
           "finetune+bm25")
_FIGURES = ("recall@1_by_gold", "recall@5_by_gold", "recall@20_by_gold", "exact_match", "f1",
            "probability_auc", "calibration_error", "unanswerable_auc")


def _figures(run: pathlib.Path) -> dict[str, dict[str, float]]:
  """By stage."""
  found = {}
  for stage in _STAGES:
    path = run / "evaluation" / f"{stage}.json"
    if path.exists():
      values = files.read_json(path)
      found[stage] = {name: round(100 * values[name], 4) for name in _FIGURES
                      if values.get(name) is not None}
  return found


def _of_all(by_seed: dict[int, dict[str, dict[str, float]]], stage: str) -> dict[str, list]:
  """Mean, least and most of each figure that all runs have."""
  rows = [stages.get(stage, {}) for stages in by_seed.values()]
  return {name: [round(statistics.mean(values), 1), round(min(values), 1),
                 round(max(values), 1)]
          for name in _FIGURES if all(name in row for row in rows)
          for values in [[row[name] for row in rows]]}


def main(argv) -> None:
  if len(argv) < 2:
    raise app.UsageError("name the folders of runs")
  by_seed = {}
  for folder in map(pathlib.Path, argv[1:]):
    seed = files.read_json(folder / "config.json")["seed"]
    if seed in by_seed:
      raise app.UsageError(f"{folder}: seed {seed} has been given already")
    by_seed[seed] = _figures(folder)
  result = {"seeds": by_seed, "mean, least, most": {
      stage: figures for stage in _STAGES if (figures := _of_all(by_seed, stage))}}
  print(json.dumps(result["mean, least, most"], indent=1))
  if _JSON.value:
    files.write_json(_JSON.value, result)


if __name__ == "__main__":
  app.run(main)
