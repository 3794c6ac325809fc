"""A step of pre-training, with memory that is freed given back to the system, and kept.

    python benchmarks/freed_memory.py --json=benchmarks/results/freed_memory.json

`realm_tf.keep_freed_memory`, which the commands that train call, beside glibc as it comes:
BERT-tiny at the sizes of `ablation_rows.py`, MiniLM at those of `step_sizes.py`, random
tokens. Lengths are others in each step. Each measurement is a process of its own; they take
turns. Processor time is what to go by on a machine that others use, and the sum of both
kinds; `faults` are the pages that the system gave, per step.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np
from absl import app, flags
from machine import processor, report
from step_sizes import SIZES

_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.")
_STEPS = flags.DEFINE_integer("steps", 12, "Per measurement, after three to warm up.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")
_MEASURE = flags.DEFINE_string("measure", None, "In this process; used by the script itself.")

_MODELS = {
    "BERT-tiny": SIZES | {"hidden": 128, "layers": 2, "heads": 2, "batch": 32,
                          "candidates": 8, "query": 32, "document": 96, "masks": 8},
    "MiniLM": SIZES | {"hidden": 384, "layers": 6, "heads": 12}}


def _measure(name: str) -> None:
  model, memory = name.split(", ")
  import realm_tf
  if memory == "kept":
    realm_tf.keep_freed_memory()
  import tensorflow as tf
  from realm_step import make_step
  sizes, rng = _MODELS[model], np.random.default_rng(0)
  rows = sizes["batch"] * sizes["candidates"]

  def lengths(count: int, most: int) -> list[int]:
    return rng.integers(most // 2, most + 1, count).tolist()

  # Each has the arrays of a batch of its own, so sizes differ as they do in a training.
  steps = [make_step(sizes, "float32", [lengths(sizes["batch"], sizes["query"]),
                                        lengths(rows, sizes["document"]),
                                        lengths(rows, sizes["query"] + sizes["document"])])
           for _ in range(3)]
  for step in steps:
    step().numpy()
  tf.random.set_seed(0)
  before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
  for number in range(_STEPS.value):
    steps[number % len(steps)]().numpy()
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
  names = [f"{model}, {memory}" for model in _MODELS for memory in ("given back", "kept")]
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
