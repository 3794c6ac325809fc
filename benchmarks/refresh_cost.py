"""What keeping the index fresh costs and is worth: speed and staleness in each mode.

    realm run --config=configs/pretraining.py --workdir=runs/pretraining
    python benchmarks/refresh_cost.py --workdir=runs/pretraining --steps=120 --rounds=3 \
        --modes=frozen,async:0.5,sync --json=refresh.json

Pre-trains from the run's ICT model for some steps in each mode, in a temporary folder. A
mode is `config.refresh.mode`, and behind a colon `refresh.share`: "frozen" is no refresh,
"async:0.5" a thread that works half of the time.

With --rounds the modes take turns, and the median over the rounds is shown. All figures
leave out the first quarter of the steps (tracing):

    steps/s             waits and swaps counted
    ratio               to the steps/s of the first mode, in the same round
    staleness           of the index, in steps: mean and maximum
    swaps, waited       of the whole run: how often the whole index was replaced; seconds
                        that training waited for that
"""

import dataclasses
import gc
import json
import pathlib
import statistics
import sys
import tempfile
from typing import Any

from absl import app, flags
from machine import processor

_WORKDIR = flags.DEFINE_string("workdir", None, "A run with its ICT done.", required=True)
_STEPS = flags.DEFINE_integer("steps", 120, "Of each mode.", lower_bound=2)
_EVERY = flags.DEFINE_integer("refresh_every", 30, "Steps between refreshes.")
_MODES = flags.DEFINE_list(
    "modes", ["frozen", "async:1", "async:0.5", "sync", "rerank"],
    "What to time: mode[:share].")
_ROUNDS = flags.DEFINE_integer("rounds", 1, "How often, in turn.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File for the results.")

_COLUMNS = {"steps/s": "steps_per_second", "ratio": "ratio", "staleness": "mean_staleness",
            "max": "max_staleness", "swaps": "swaps", "waited": "seconds_waited",
            "rows/s": "rows_per_second"}


def _config(config, mode: str):
  """The run's config in this mode."""
  refresh, _, share = mode.partition(":")
  return dataclasses.replace(
      config, checkpoint_every=0,
      pretrain=dataclasses.replace(config.pretrain, steps=_STEPS.value),
      refresh=dataclasses.replace(
          config.refresh, mode=refresh, every=_EVERY.value, max_staleness=2 * _EVERY.value,
          share=float(share or config.refresh.share)))


def _train(run, mode: str) -> tuple[list[dict[str, float]], int]:
  """The metrics of each step, and how often the index was swapped."""
  import numpy as np  # pylint: disable=import-outside-toplevel

  from realm_tf.training import pretrain  # pylint: disable=import-outside-toplevel
  steps: list[dict[str, float]] = []
  model = run.model("ict")
  banned = np.arange(run.corpus.num_blocks, dtype=np.int32)[:, None]
  with tempfile.TemporaryDirectory() as folder:
    _, refresher = pretrain.train_pretrain(
        _config(run.config, mode), run.corpus, run.passages, model, run.index(model), banned,
        pathlib.Path(folder), on_step=[lambda _, metrics: steps.append(metrics)])
  return steps, refresher.swaps


def _timed(run, mode: str) -> dict[str, Any]:
  steps, swaps = _train(run, mode)
  steps = steps[_STEPS.value // 4:]
  seconds, staleness = ([metrics[name] for metrics in steps]
                        for name in ("step_seconds", "index_staleness"))
  gc.collect()  # the graphs of this mode
  return {"mode": mode, "steps_per_second": 1 / statistics.mean(seconds),
          "median_step_seconds": statistics.median(seconds), "swaps": swaps,
          "seconds_waited": steps[-1].get("index_seconds_waited", 0.0),
          "mean_staleness": statistics.mean(staleness), "max_staleness": max(staleness),
          "rows_per_second": steps[-1].get("index_rows_per_second", 0.0)}


def _medians(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
  """Of each mode, over its rounds."""
  modes = []
  for mode in dict.fromkeys(_MODES.value):
    rounds = [run for run in runs if run["mode"] == mode]
    modes.append({"mode": mode, **{name: statistics.median(run[name] for run in rounds)
                                   for name in rounds[0] if name != "mode"}})
  return modes


def _table(modes: list[dict[str, Any]]) -> str:
  rows = [["mode", *_COLUMNS]]
  for mode in modes:
    values = (mode[name] for name in _COLUMNS.values())
    rows.append([mode["mode"], *(f"{value:.3f}" if isinstance(value, float) else str(value)
                                 for value in values)])
  widths = [max(map(len, column)) for column in zip(*rows)]
  return "\n".join("  ".join([row[0].ljust(widths[0]), *(
      cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in rows)


def main(_) -> None:
  from realm_tf.run.folder import Run  # pylint: disable=import-outside-toplevel
  run = Run.existing(_WORKDIR.value)
  for mode in dict.fromkeys(_MODES.value):
    _config(run.config, mode)  # says now what is wrong with it
  run.index(run.model("ict"))  # so that no mode pays for it
  title = (f"{run.corpus.num_blocks} blocks, {_STEPS.value} steps, a refresh every "
           f"{_EVERY.value}, {_ROUNDS.value} rounds, {processor()}")
  print(title)
  runs: list[dict[str, Any]] = []
  for number in range(_ROUNDS.value):
    for mode in dict.fromkeys(_MODES.value):
      timed = {"round": number, **_timed(run, mode)}
      first = next((r for r in runs if r["round"] == number), timed)
      runs.append(timed | {"ratio": timed["steps_per_second"] / first["steps_per_second"]})
      print(json.dumps({name: round(value, 3) if isinstance(value, float) else value
                        for name, value in runs[-1].items()}), flush=True)
  modes = [{name: value for name, value in timed.items() if name != "round"}
           for timed in _medians(runs)]
  print(f"\n{title}\n{_table(modes)}")
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(
        {"blocks": run.corpus.num_blocks, "processor": processor(), "rounds": _ROUNDS.value,
         "modes": modes, "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
  app.run(main)
