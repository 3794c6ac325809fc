"""What share of a pre-training step waits for its input, with and without prefetching.

    realm run --config=configs/demo.py --workdir=runs/demo
    python benchmarks/overlap.py --workdir=runs/demo --rows=1000000 --json=overlap.json

Pre-trains from the run's ICT model, in a temporary folder and in turns, with
`pretrain.prefetch_candidates` off and on; the index is exact and frozen. Of each step after
the first quarter (tracing) it takes how long it was, its batch waited for, and how long of
that it waited for its batch (`input_wait_seconds`) and for candidates
(`retrieval_wait_seconds`), and prints medians over all rounds; the share is of all steps
together. The rest is the update: where both share the cores, as on a machine that has only
its CPU, it slows down by what runs beside it, and only the whole step says whether
prefetching paid.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
import tempfile

import numpy as np
from absl import app, flags
from machine import processor

_WORKDIR = flags.DEFINE_string("workdir", None, "A run with its ICT done.", required=True)
_ROWS = flags.DEFINE_integer("rows", 0, "Of the index: blocks of the corpus, then the same a "
                             "tenth as long, which are searched and not found; 0: no more.")
_STEPS = flags.DEFINE_integer("steps", 40, "Of each kind and round.", lower_bound=8,
                              upper_bound=50)  # of more, a record would be a mean of several
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of both kinds in turn.")
_JSON = flags.DEFINE_string("json", None, "File for the results.")


def _index(run, model):
  """An exact index of --rows rows of which only those of the corpus are found."""
  from realm_tf.index.exact import ExactIndex  # pylint: disable=import-outside-toplevel
  exact = run.index(model, exact=True)
  table = exact.table.numpy()
  more = np.resize(table, [max(0, _ROWS.value - len(table)), table.shape[1]])
  rows = np.concatenate([table, more * np.asarray(0.1, table.dtype)])
  index = ExactIndex(*rows.shape, dtype=exact.table.dtype)
  index.assign(rows, 0)
  return index


def _records(run, prefetch: bool) -> list[dict[str, float]]:
  """The metrics of each step of one round."""
  from realm_tf.config import RefreshConfig  # pylint: disable=import-outside-toplevel
  from realm_tf.training import pretrain  # pylint: disable=import-outside-toplevel
  config = dataclasses.replace(
      run.config, checkpoint_every=0, refresh=RefreshConfig(mode="frozen"),
      pretrain=dataclasses.replace(run.config.pretrain, steps=_STEPS.value,
                                   prefetch_candidates=prefetch))
  model = run.model("ict")
  with tempfile.TemporaryDirectory() as folder:
    loop, _ = pretrain.train_pretrain(config, run.corpus, run.passages, model,
                                      _index(run, model), run.banned, pathlib.Path(folder))
  return [means for step, means in loop.log.rows if step > _STEPS.value // 4]


def _medians(records: list[dict[str, float]]) -> dict[str, float]:
  batch, candidates, step = (
      np.array([one[f"{name}_seconds"] for one in records])
      for name in ("input_wait", "retrieval_wait", "step"))
  whole = batch + step  # a step is timed from when its batch is there
  return {"step": statistics.median(whole), "batch": statistics.median(batch),
          "candidates": statistics.median(candidates),
          "share": float((batch + candidates).sum() / whole.sum())}


def main(_) -> None:
  from realm_tf.cli.run_folder import RunFolder  # pylint: disable=import-outside-toplevel
  run = RunFolder.existing(_WORKDIR.value)
  kinds = {"in turn": False, "beside": True}
  records = {name: [] for name in kinds}
  for _ in range(_ROUNDS.value):
    for name, prefetch in kinds.items():
      records[name] += _records(run, prefetch)
  found = {name: _medians(of_kind) for name, of_kind in records.items()}
  rows = max(_ROWS.value, run.corpus.num_blocks)
  print(f"\n{processor()}; {rows:,} rows; batch {run.config.pretrain.batch_size}, "
        f"{run.config.pretrain.candidates} candidates; medians of "
        f"{len(records['beside'])} steps of each kind in {_ROUNDS.value} rounds\n")
  print("candidates      a step   waits for batch   for candidates   share of the step")
  for name, of in found.items():
    print(f"{name:10s} {of['step']:9.3f} s {1000 * of['batch']:13.1f} ms "
          f"{1000 * of['candidates']:13.1f} ms {of['share']:18.1%}")
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(
        {"processor": processor(), "rows": rows, **found}, indent=1), encoding="utf-8")
  sys.stdout.flush()


if __name__ == "__main__":
  app.run(main)
