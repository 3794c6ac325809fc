# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The searches of PyTorch, FAISS, USearch and SVS, each library in a process of its own.

None is a dependency of ours. Run as a program, by `measure_in`, this measures those of one
library and prints a line of JSON for each; it imports NumPy and that library. So no other
OpenMP runtime, nor a variable that is meant for one, has a say in how many threads it takes.
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from top_k_measure import Method, Plan, measure

_OTHERS_THREADS = re.compile(r"(OMP|KMP|GOMP|OPENBLAS|MKL|BLIS)_\w+")


def _faiss_flat(table):
  import faiss
  index = faiss.IndexFlatIP(table.shape[1])
  index.add(table)
  return lambda queries, k: index.search(queries, k)[1]


def _faiss_panorama(rotated):
  def prepare(table):
    """With `rotated`, by principal components, which is what it is meant for."""
    import faiss
    depth = table.shape[1]
    rotation = np.eye(depth, dtype=np.float32)
    if rotated:
      _, axes = np.linalg.eigh(table[::10].T @ table[::10])
      rotation = np.ascontiguousarray(axes[:, ::-1].astype(np.float32))
    index = faiss.IndexFlatIPPanorama(depth, 8)
    for first in range(0, len(table), 100_000):
      index.add(table[first:first + 100_000] @ rotation)
    return lambda queries, k: index.search(queries @ rotation, k)[1]
  return prepare


def _faiss_bfloat16(table):
  import faiss
  index = faiss.IndexScalarQuantizer(table.shape[1], faiss.ScalarQuantizer.QT_bf16,
                                     faiss.METRIC_INNER_PRODUCT)
  index.train(table[:1000])
  index.add(table)
  return lambda queries, k: index.search(queries, k)[1]


def _usearch(table):
  from usearch.index import MetricKind, search
  return lambda queries, k: search(
      table, queries, k, MetricKind.IP, exact=True).keys.reshape(len(queries), -1)


def _svs(table):
  import svs
  index = svs.Flat(table, svs.DistanceType.MIP, num_threads=os.cpu_count())
  return lambda queries, k: index.search(queries, k)[0]


def _torch(dtype):
  def prepare(table):
    import torch
    kind = getattr(torch, dtype)
    columns = torch.from_numpy(table).to(kind).T

    def search(queries, k):
      with torch.inference_mode():
        return torch.topk(torch.from_numpy(queries).to(kind) @ columns, k)[1].numpy()
    return search
  return prepare


# By library, which is the name of a module.
LIBRARIES = {
    "torch": [Method("PyTorch float32 + topk", _torch("float32")),
              Method("PyTorch bfloat16 + topk", _torch("bfloat16"))],
    "faiss": [Method("FAISS IndexFlatIP", _faiss_flat),
              Method("FAISS IndexFlatIPPanorama", _faiss_panorama(rotated=False)),
              Method("FAISS Panorama, rotated", _faiss_panorama(rotated=True)),
              Method("FAISS bfloat16 quantiser", _faiss_bfloat16)],
    "usearch": [Method("USearch exact", _usearch)],
    "svs": [Method("SVS Flat", _svs)]}


def measure_in(python: str, table, queries, truth: dict, plan: Plan, only: str = ""):
  """Yields the cells of each method that an interpreter has, on the same vectors.

  Args:
    python: the interpreter.
    table, queries, truth, plan: see `measure`.
    only: a regular expression that is found in the names of those that are measured.
  """
  environment = {name: value for name, value in os.environ.items()
                 if not _OTHERS_THREADS.fullmatch(name)}
  with tempfile.TemporaryDirectory() as folder:
    np.save(f"{folder}/table.npy", table)
    np.save(f"{folder}/queries.npy", queries)
    np.savez(f"{folder}/truth.npz", **{f"{k} {batch}": rows
                                       for (k, batch), rows in truth.items()})
    pathlib.Path(folder, "plan.json").write_text(json.dumps(vars(plan)))
    for library in LIBRARIES:
      with subprocess.Popen([python, __file__, folder, library, only], env=environment,
                            stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
          yield json.loads(line)
      if child.returncode:
        raise SystemExit(f"{python}: {library} failed; see above")


def main(folder: str, library: str, only: str) -> None:
  methods = [method for method in LIBRARIES[library] if re.search(only, method.name)]
  if not methods or importlib.util.find_spec(library) is None:
    return
  table, queries = np.load(f"{folder}/table.npy"), np.load(f"{folder}/queries.npy")
  plan = Plan(**json.loads(pathlib.Path(folder, "plan.json").read_text()))
  truth = {tuple(map(int, name.split())): rows
           for name, rows in np.load(f"{folder}/truth.npz").items()}
  for method in methods:
    print(json.dumps(measure(method, table, queries, truth, plan)), flush=True)


if __name__ == "__main__":
  main(*sys.argv[1:])
