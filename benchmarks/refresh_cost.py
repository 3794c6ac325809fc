"""What keeping the index fresh costs: training steps per second in each mode.

    realm run --config=configs/demo.py --workdir=runs/demo
    python benchmarks/refresh_cost.py --workdir=runs/demo --steps=120 --json=refresh.json

Pre-trains from the run's ICT model for some steps in each mode, in a temporary folder,
and reports steps per second after the first quarter (tracing), waits and swaps counted,
and the staleness that each mode gave. "refresh off" is the mode "frozen"; "async:0.5" is
"async" with a `refresh_share` of 0.5.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
import tempfile

from absl import app, flags
from machine import processor

_WORKDIR = flags.DEFINE_string("workdir", None, "A run with its ICT done.", required=True)
_STEPS = flags.DEFINE_integer("steps", 120, "Of each mode.")
_EVERY = flags.DEFINE_integer("refresh_every", 30, "Steps between refreshes.")
_MODES = flags.DEFINE_list("modes", ["frozen", "async:1", "async:0.5", "sync", "rerank"],
                           "What to time.")
_JSON = flags.DEFINE_string("json", None, "File for the results.")


def _timed(run, mode: str) -> dict:
  import numpy as np  # pylint: disable=import-outside-toplevel

  from realm_tf.training import pretrain  # pylint: disable=import-outside-toplevel
  refresh, _, share = mode.partition(":")
  config = dataclasses.replace(run.config, checkpoint_every=0, pretrain=dataclasses.replace(
      run.config.pretrain, steps=_STEPS.value, refresh=refresh,
      refresh_every=_EVERY.value, max_staleness=2 * _EVERY.value, refresh_first=0.0,
      refresh_share=float(share or run.config.pretrain.refresh_share)))
  model = run.model("ict")
  banned = np.arange(run.corpus.num_blocks, dtype=np.int32)[:, None]
  with tempfile.TemporaryDirectory() as folder:
    loop, refresher = pretrain.train_pretrain(
        config, run.corpus, run.passages, model, run.index(model), banned,
        pathlib.Path(folder))
  rows = [means for step, means in loop.log.rows if step > _STEPS.value // 4]
  seconds, staleness = ([means[name] for means in rows]
                        for name in ("step_seconds", "index_staleness"))
  return {"mode": mode, "steps_per_second": 1 / statistics.mean(seconds),
          "median_step_seconds": statistics.median(seconds), "swaps": refresher.swaps,
          "seconds_waited": rows[-1].get("index_seconds_waited", 0.0),
          "mean_staleness": statistics.mean(staleness), "max_staleness": max(staleness),
          "rows_per_second": rows[-1].get("index_rows_per_second", 0.0)}


def main(_) -> None:
  from realm_tf.cli.run_folder import RunFolder  # pylint: disable=import-outside-toplevel
  run = RunFolder.existing(_WORKDIR.value)
  run.index(run.model("ict"))  # so that no mode pays for it
  print(f"{run.corpus.num_blocks} blocks, {_STEPS.value} steps, a refresh every "
        f"{_EVERY.value}, {processor()}")
  results = []
  for mode in _MODES.value:
    results.append(_timed(run, mode))
    print(json.dumps({name: round(value, 3) if isinstance(value, float) else value
                      for name, value in results[-1].items()}), flush=True)
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(
        {"blocks": run.corpus.num_blocks, "processor": processor(), "modes": results},
        indent=2) + "\n")


if __name__ == "__main__":
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
  app.run(main)
