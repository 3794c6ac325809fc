# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The searches of PyTorch and FAISS, here or in an interpreter that has them.

Neither is a dependency of ours. Run as a program, by `measure_in`, this measures those
that its interpreter has and prints a line of JSON for each; it imports NumPy and them.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from top_k_measure import Method, Plan, measure


def _faiss_flat(table):
  import faiss
  index = faiss.IndexFlatIP(table.shape[1])
  index.add(table)
  return lambda queries, k: index.search(queries, k)[1]


def _faiss_bfloat16(table):
  import faiss
  index = faiss.IndexScalarQuantizer(table.shape[1], faiss.ScalarQuantizer.QT_bf16,
                                     faiss.METRIC_INNER_PRODUCT)
  index.train(table[:1000])
  index.add(table)
  return lambda queries, k: index.search(queries, k)[1]


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


def installed() -> list[Method]:
  """Those that this interpreter has."""
  methods = [("torch", Method("PyTorch float32 + topk", _torch("float32"))),
             ("torch", Method("PyTorch bfloat16 + topk", _torch("bfloat16"))),
             ("faiss", Method("FAISS IndexFlatIP", _faiss_flat)),
             ("faiss", Method("FAISS bfloat16 quantiser", _faiss_bfloat16))]
  return [method for package, method in methods if importlib.util.find_spec(package)]


def measure_in(python: str, table, queries, truth: dict, plan: Plan):
  """Yields the cells of each method that another interpreter has, on the same vectors."""
  with tempfile.TemporaryDirectory() as folder:
    np.save(f"{folder}/table.npy", table)
    np.save(f"{folder}/queries.npy", queries)
    np.savez(f"{folder}/truth.npz", **{f"{k} {batch}": rows
                                       for (k, batch), rows in truth.items()})
    pathlib.Path(folder, "plan.json").write_text(json.dumps(vars(plan)))
    with subprocess.Popen([python, __file__, folder], stdout=subprocess.PIPE,
                          text=True) as child:
      for line in child.stdout:
        yield json.loads(line)
    if child.returncode:
      raise SystemExit(f"{python} failed; see above")


def main(folder: str) -> None:
  table, queries = np.load(f"{folder}/table.npy"), np.load(f"{folder}/queries.npy")
  plan = Plan(**json.loads(pathlib.Path(folder, "plan.json").read_text()))
  truth = {tuple(map(int, name.split())): rows
           for name, rows in np.load(f"{folder}/truth.npz").items()}
  for method in installed():
    print(json.dumps(measure(method, table, queries, truth, plan)), flush=True)


if __name__ == "__main__":
  main(sys.argv[1])
