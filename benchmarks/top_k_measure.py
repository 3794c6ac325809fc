# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""How a search is timed; needs NumPy only, so that any interpreter can do it."""

import dataclasses
import statistics
import time
from typing import Callable

import numpy as np

Search = Callable[[np.ndarray, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Method:
  """`prepare(table [N, D] float32) -> search(queries [B, D] float32, k) -> rows`."""
  name: str
  prepare: Callable[[np.ndarray], Search]


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is measured of each method, and how often."""
  ks: list[int]
  batches: list[int]
  seconds: float
  repeats: int


def timed(run, seconds: float, repeats: int) -> list[float]:
  """Milliseconds of each repetition; the caller has run it once to warm up."""
  times, end = [], time.perf_counter() + seconds
  while len(times) < repeats or (time.perf_counter() < end and len(times) < 1000):
    start = time.perf_counter()
    run()
    times.append(1e3 * (time.perf_counter() - start))
  return times


def measure(method: Method, table, queries, truth: dict, plan: Plan) -> list[dict]:
  """A cell per (k, batch); `truth` has the right rows, and is filled where it has not."""
  start = time.perf_counter()
  search = method.prepare(table)
  prepared = time.perf_counter() - start
  cells = []
  for k in plan.ks:
    for batch in plan.batches:
      rows = np.asarray(search(queries[:batch], k))
      expected = truth.setdefault((k, batch), rows)
      times = timed(lambda k=k, batch=batch: search(queries[:batch], k), plan.seconds,
                    plan.repeats)
      hits = sum(len(np.intersect1d(*pair)) for pair in zip(rows, expected, strict=True))
      cells.append({"method": method.name, "k": k, "batch": batch, "repeats": len(times),
                    "median_ms": statistics.median(times), "fastest_ms": min(times),
                    "slowest_ms": max(times), "recall": hits / rows.size,
                    "prepare_s": prepared})
  return cells
