# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Exact top-k by our op against every peer that is installed, in one run.

    python benchmarks/top_k.py                                   # a million vectors
    python benchmarks/top_k.py --json=top_k.json --picture=top_k.png
    python benchmarks/top_k.py --exact_peers                     # FAISS, USearch, SVS
    python benchmarks/top_k.py --peer_python=/venv/bin/python    # one that has torch
    python benchmarks/top_k.py --large --rows=13353718 --k=8,5000   # as in the paper

Prints medians with their spread, how many times faster each is than float32 tf.matmul +
tf.math.top_k, and the floors: a single query cannot be faster than the table is read, many
queries not faster than the processor multiplies. Both are measured here. The vectors lie in
clusters of about 250, and a query is a vector of one of them, as in a trained index.
"""

import json
import os
import pathlib
import platform
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import realm_tf  # noqa: F401  chooses Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import peers
import tensorflow as tf
import top_k_foreign
import top_k_peers
from absl import app, flags
from top_k_measure import Plan, measure, timed

_ROWS = flags.DEFINE_integer("rows", 1_000_000, "N, vectors in the table.", lower_bound=1000)
_DEPTH = flags.DEFINE_integer("depth", 128, "D, length of a vector.", lower_bound=1)
_BATCH = flags.DEFINE_list("batch", ["1", "64", "512"], "B, queries at a time.")
_K = flags.DEFINE_list("k", ["8"], "K, rows wanted.")
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Repeat each cell for this long ...")
_REPEATS = flags.DEFINE_integer("repeats", 3, "... and at least so often.", lower_bound=1)
_ONLY = flags.DEFINE_string(
    "only", "", "Only the methods in whose name this regular expression is found.")
_LARGE = flags.DEFINE_bool(
    "large", False, "One bfloat16 table only, made where it lies, and how much memory the "
    "searches took beyond it.")
_PEERS = flags.DEFINE_list(
    "peer_python", [], "Other interpreters, to measure the torch, faiss, usearch or svs that "
    "they have.")
_EXACT_PEERS = flags.DEFINE_bool(
    "exact_peers", False, "Also those of benchmarks/exact, in an environment that is made.")
_JSON = flags.DEFINE_string("json", None, "Also write all figures to this file.")
_PICTURE = flags.DEFINE_string("picture", None, "Also draw the table into this file.")

_CLUSTER = 250
_SPREAD = 0.7


def clustered(rows: int, depth: int, queries: int, dtype=np.float32, seed: int = 0
              ) -> tuple[np.ndarray, np.ndarray]:
  """Table [rows, depth] of `dtype` and queries [queries, depth], of the same clusters."""
  rng = np.random.default_rng(seed)
  centres = rng.standard_normal((max(1, rows // _CLUSTER), depth), np.float32)
  table = _aligned((rows, depth), dtype)
  for first in range(0, rows, 50_000):
    part = table[first:first + 50_000]
    part[:] = _members(rng, centres, len(part))
  return table, _members(rng, centres, queries)


def _aligned(shape, dtype):
  """An array that TensorFlow reads where it lies."""
  size = int(np.prod(shape)) * np.dtype(dtype).itemsize
  memory = np.empty(size + 64, np.uint8)
  first = -memory.ctypes.data % 64
  return memory[first:first + size].view(dtype).reshape(shape)


def _members(rng, centres, count):
  noise = rng.standard_normal((count, centres.shape[1]), np.float32)
  return centres[rng.integers(0, len(centres), count)] + np.float32(_SPREAD) * noise


def processor() -> str:
  """Name, cores, and the instruction sets that matter here."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    return platform.processor()
  fields = dict(line.split("\t: ", 1) if "\t: " in line else (line, "") for line in lines)
  fields = {name.strip(): value for name, value in fields.items()}
  sets = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
          if name in fields.get("flags", "").split()]
  return (f"{fields.get('model name', 'unknown')}, {os.cpu_count()} cores "
          f"({' '.join(sets)})")


def reading(size: int) -> float:
  """Milliseconds in which all cores together read `size` bytes: sums of 32 pieces.

  Measured for each size, as a part of a table that is read again may still be cached.
  """
  pieces = np.array_split(np.ones(size // 4, np.float32), 32)
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return min(timed(lambda: list(pool.map(lambda piece: piece.dot(piece), pieces)), 1, 6))


def matmul_peak(dtype: tf.DType) -> float:
  """The most multiply-adds, counted twice, that tf.matmul does in a second."""
  best = 0.0
  for shape in ((2048, 2048, 2048), (4096, 1024, 4096), (512, 128, 16384)):
    left = tf.cast(tf.random.normal(shape[:2]), dtype)
    right = tf.cast(tf.random.normal(shape[1:]), dtype)
    run = tf.function(lambda left=left, right=right: tf.matmul(left, right))
    fastest = min(timed(lambda run=run: run()[0, 0].numpy(), 1, 6))
    best = max(best, 2e3 * np.prod(shape) / fastest)
  return best


# Bytes per row of D values that a search must read.
_ROW_BYTES = {"float32": lambda depth: 4 * depth, "bfloat16": lambda depth: 2 * depth,
              "shadow": lambda depth: -(-depth // 32) * 32 + 8}


def machine_speeds() -> dict:
  """What the floors rest on."""
  return {"processor": processor(),
          "matmul_float32": matmul_peak(tf.float32),
          "matmul_bfloat16": matmul_peak(tf.bfloat16),
          **{f"read_{name}_ms": reading(_ROWS.value * size(_DEPTH.value))
             for name, size in _ROW_BYTES.items()}}


def floors(machine, batch: int) -> dict[str, float]:
  """Milliseconds below which no search can be that reads or multiplies everything.

  The shadow is for few queries only.
  """
  products = 2.0 * batch * _ROWS.value * _DEPTH.value
  times = {name: max(machine[f"read_{name}_ms"],
                     1e3 * products / machine[f"matmul_{name}"])
           for name in ("float32", "bfloat16")}
  return times | ({"shadow": machine["read_shadow_ms"]} if batch <= 4 else {})


def print_table(cells, machine) -> None:
  batches = list(map(int, _BATCH.value))
  print(f"\nN = {_ROWS.value:,}, D = {_DEPTH.value}; {machine['processor']}\n"
        f"tables are read in {machine['read_float32_ms']:.2f} ms (float32) and "
        f"{machine['read_bfloat16_ms']:.2f} (bfloat16); tf.matmul "
        f"{machine['matmul_float32'] / 1e9:.0f} GFLOP/s in float32, "
        f"{machine['matmul_bfloat16'] / 1e9:.0f} in bfloat16")
  for k in map(int, _K.value):
    k_cells = [cell for cell in cells if cell["k"] == k]
    baseline = {cell["batch"]: cell["median_ms"] for cell in k_cells
                if cell["method"] == top_k_peers.BASELINE}
    print(f"\nk = {k}: median ms (fastest - slowest, repeats), times the baseline's speed\n")
    print(f"{'':30}" + "".join(f"{f'B = {batch}':>36}" for batch in batches) + "   recall")
    for name in dict.fromkeys(cell["method"] for cell in k_cells):
      row = {cell["batch"]: cell for cell in k_cells if cell["method"] == name}
      print(f"{name:30}" + "".join(_cell(row[batch], baseline) for batch in batches) +
            f"   {min(cell['recall'] for cell in row.values()):.3f}")
    for name in _ROW_BYTES:
      limits = [floors(machine, batch).get(name) for batch in batches]
      print(f"{'floor, ' + name:30}" + "".join(
          f"{'':36}" if floor is None else f"{floor:>10.2f}{'':26}" for floor in limits))


def _cell(cell, baseline) -> str:
  spread = f"({cell['fastest_ms']:.1f} - {cell['slowest_ms']:.1f}, {cell['repeats']})"
  ratio = (f"{baseline[cell['batch']] / cell['median_ms']:.2f}x"
           if cell["batch"] in baseline else "")
  return f"{cell['median_ms']:>10.2f} {spread:<18}{ratio:>7}"


def draw(cells, machine, path: str) -> None:
  """One panel per batch size, a bar per method, the floors as lines."""
  import matplotlib
  matplotlib.use("Agg")
  from matplotlib import pyplot
  batches, k = list(map(int, _BATCH.value)), int(_K.value[0])
  figure, axes = pyplot.subplots(1, len(batches), figsize=(5 * len(batches), 4.5),
                                 sharey=True, squeeze=False)
  for axis, batch in zip(axes[0], batches, strict=True):
    chosen_cells = [cell for cell in cells if cell["k"] == k and cell["batch"] == batch][::-1]
    axis.barh([cell["method"] for cell in chosen_cells],
              [cell["median_ms"] for cell in chosen_cells],
              color=["tab:orange" if cell["method"].startswith("realm_tf") else "tab:gray"
                     for cell in chosen_cells])
    for (name, floor), style in zip(floors(machine, batch).items(), (":", "--", "-.")):
      axis.axvline(floor, color="black", linestyle=style, label=f"floor, {name}")
    axis.set(xscale="log", xlabel="ms, median", title=f"B = {batch}, k = {k}")
  axes[0][0].legend(fontsize="small")
  figure.suptitle(f"N = {_ROWS.value:,}, D = {_DEPTH.value}; {machine['processor']}",
                  fontsize="small")
  figure.tight_layout()
  figure.savefig(path, dpi=120)


def plan() -> Plan:
  return Plan(list(map(int, _K.value)), list(map(int, _BATCH.value)), _SECONDS.value,
              _REPEATS.value)


def memory(field: str) -> int:
  """Bytes: VmRSS now, VmHWM at most."""
  status = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(status.split(field + ":")[1].split()[0])


def measure_large(machine) -> list[dict]:
  """One bfloat16 table that is never copied."""
  pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
  before = memory("VmRSS")
  table, queries = clustered(_ROWS.value, _DEPTH.value, max(map(int, _BATCH.value)),
                             tf.bfloat16.as_numpy_dtype)
  cells = measure(top_k_peers.in_place(), table, queries, {}, plan())
  extra = memory("VmHWM") - before - table.nbytes
  print_table(cells, machine)
  print(f"\ntable {table.nbytes / 1e9:.2f} GB; everything else, making it included, "
        f"at most {extra / 1e9:.2f} GB more ({extra / table.nbytes:.1%})")
  return cells


def measure_all(machine) -> list[dict]:
  """Every method in turn, on the same float32 vectors."""
  table, queries = clustered(_ROWS.value, _DEPTH.value, max(map(int, _BATCH.value)))
  truth: dict = {}

  def each_method():
    for method in top_k_peers.ours() + top_k_peers.installed_peers():
      if re.search(_ONLY.value, method.name):
        yield measure(method, table, queries, truth, plan())
    pythons = [sys.executable, *_PEERS.value]
    for python in [*pythons, peers.exact_python()] if _EXACT_PEERS.value else pythons:
      yield from top_k_foreign.measure_in(python, table, queries, truth, plan(), _ONLY.value)

  cells = []
  for method_cells in each_method():
    row = [f"{cell['median_ms']:.1f} ms" for cell in method_cells]
    print(f"{method_cells[0]['method']}: {method_cells[0]['prepare_s']:.1f} s to prepare, "
          f"{', '.join(row)}", flush=True)
    cells += method_cells
  print_table(cells, machine)
  return cells


def main(_) -> None:
  machine = machine_speeds()
  cells = measure_large(machine) if _LARGE.value else measure_all(machine)
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(
        {"rows": _ROWS.value, "depth": _DEPTH.value, "machine": machine, "cells": cells},
        indent=1) + "\n")
  if _PICTURE.value:
    draw(cells, machine, _PICTURE.value)


if __name__ == "__main__":
  app.run(main)
