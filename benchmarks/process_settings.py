"""A step of pre-training as TensorFlow comes, and by the settings that our commands choose.

    python benchmarks/process_settings.py --json=benchmarks/results/process_settings.json

"kept": `realm_tf.keep_freed_memory`, which the commands that train call, beside glibc as
it comes. "kept, oneDNN": products by it, too, which TensorFlow takes by itself only where
there is AVX512_VNNI or later, and `realm_tf` where there is AVX2; in the others they are
Eigen's.

BERT-tiny at the sizes of `ablation_rows.py`, MiniLM at those of `step_sizes.py`, random
tokens. Lengths are others in each step, so that oneDNN finds no product prepared. Each
measurement is a process of its own; they take turns. Processor time is what to go by on a
machine that others use, and the sum of both kinds; `faults` are the pages that the system
gave, per step.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from machine import processor, report
from step_sizes import SIZES

_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.")
_STEPS = flags.DEFINE_integer("steps", 12, "Per measurement, after some to warm up.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")
_MEASURE = flags.DEFINE_string("measure", None, "In this process; used by the script itself.")

_WARM_UP = 3
_SETTINGS = ("given back", "kept", "kept, oneDNN")
_MODELS = {
    "BERT-tiny": SIZES | {"hidden": 128, "layers": 2, "heads": 2, "batch": 32,
                          "candidates": 8, "query": 32, "document": 96, "masks": 8},
    "MiniLM": SIZES | {"hidden": 384, "layers": 6, "heads": 12}}


def _measure(name: str) -> None:
  model, _, settings = name.partition(": ")
  os.environ["TF_ENABLE_ONEDNN_OPTS"] = str(int("oneDNN" in settings))
  import realm_tf
  if "kept" in settings:
    realm_tf.keep_freed_memory()
  from realm_step import make_steps, random_batch
  sizes, rng = _MODELS[model], np.random.default_rng(0)
  rows = sizes["batch"] * sizes["candidates"]

  def lengths(count: int, most: int) -> list[int]:
    return rng.integers(most // 2, most + 1, count).tolist()

  batches = [random_batch(sizes, [lengths(sizes["batch"], sizes["query"]),
                                  lengths(rows, sizes["document"]),
                                  lengths(rows, sizes["query"] + sizes["document"])])
             for _ in range(_WARM_UP + _STEPS.value)]
  step = make_steps(sizes, "float32")
  for batch in batches[:_WARM_UP]:
    step(*batch).numpy()
  before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
  for batch in batches[_WARM_UP:]:
    step(*batch).numpy()
  seconds = time.perf_counter() - begun
  after = resource.getrusage(resource.RUSAGE_SELF)
  print("RESULT " + json.dumps({
      "seconds": seconds / _STEPS.value,
      "cpu": (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
             / _STEPS.value,
      "system": (after.ru_stime - before.ru_stime) / _STEPS.value,
      "faults": (after.ru_minflt - before.ru_minflt) / _STEPS.value,
      "peak": after.ru_maxrss * 1024}))


def main(_) -> None:
  if _MEASURE.value:
    _measure(_MEASURE.value)
    return
  names = [f"{model}: {settings}" for model in _MODELS for settings in _SETTINGS]
  measured: dict[str, list[dict]] = {name: [] for name in names}
  for _ in range(_ROUNDS.value):
    for name in names:
      completed = subprocess.run(
          [sys.executable, __file__, f"--measure={name}", f"--steps={_STEPS.value}"],
          check=True, stdout=subprocess.PIPE, text=True)
      measured[name].append(json.loads(completed.stdout.partition("RESULT ")[2]))
  report({"processor": processor(), "rounds": _ROUNDS.value, "steps": _STEPS.value, **{
      name: {key: {"median": round(float(np.median([each[key] for each in every])), 4),
                   "from, to": [round(edge([each[key] for each in every]), 4)
                                for edge in (min, max)]}
             for key in every[0]}
      for name, every in measured.items()}}, _JSON.value)


if __name__ == "__main__":
  app.run(main)
