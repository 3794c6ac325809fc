"""Recall against latency: our indexes beside plain ScaNN and faiss.

    python benchmarks/index_recall.py --rows=1000000 --json=recall.json
    python benchmarks/index_recall.py --rows=1000000 --json=recall.json --methods=ivf,hnsw \
        --faiss_python=/venv/bin/python          # adds to what is in the file
    python benchmarks/index_recall.py --plot=recall.png recall.json other.json

The rows are clustered vectors (a mixture of 4,096 Gaussians of unequal weight whose
centres lie on a hierarchy), or with --workdir the index of a run, its held-out
questions being the queries. faiss-cpu is no dependency of ours: name a Python that has
it and absl-py, and it is run there on the same rows. Times are medians over repeated batches.
"""

import dataclasses
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags
from machine import processor

_ROWS = flags.DEFINE_integer("rows", 100_000, "N, of the clustered rows.")
_SIZE = flags.DEFINE_integer("size", 128, "D, of the clustered rows.")
_WORKDIR = flags.DEFINE_string("workdir", None, "A run, whose index is searched instead.")
_QUERIES = flags.DEFINE_integer("queries", 512, "How many, at most.")
_BATCH = flags.DEFINE_integer("batch", 64, "Queries per search.")
_K = flags.DEFINE_integer("k", 10, "Results per query.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Of the whole set of queries.")
_FAISS = flags.DEFINE_string("faiss_python", None, "A Python that has faiss-cpu and absl-py.")
_METHODS = flags.DEFINE_list(
    "methods", ["ours", "scann"], "Of ours (exact, and over ScaNN), scann (alone), ivf and "
    "hnsw (faiss); HNSW takes long to build.")
_EF = flags.DEFINE_integer("ef_construction", 40, "Of HNSW.")
_JSON = flags.DEFINE_string("json", None, "File for the results, which are added.")
_PLOT = flags.DEFINE_string("plot", None, "Draws the curves of the files that are named.")

_RESCORED = 300  # as we do
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # of the leaves that are searched


def clustered(rows: int, size: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
  """Rows [N, D] and queries [Q, D] of one distribution, of norm about sqrt(D)."""
  rng = np.random.default_rng(0)
  groups = rng.normal(size=[64, size])
  centres = groups[rng.integers(64, size=4096)] + 0.7 * rng.normal(size=[4096, size])
  weights = 1 / np.arange(1, 4097) ** 0.7

  def draw(count):
    cluster = rng.choice(4096, count, p=weights / weights.sum())
    spread = rng.standard_normal([count, size], np.float32) * np.float32(0.6)
    return (centres[cluster].astype(np.float32) + spread) / np.float32(1.36)

  return draw(rows), draw(queries)


def _of_run(folder: str) -> tuple[np.ndarray, np.ndarray]:
  from realm_tf.run.folder import Run  # pylint: disable=import-outside-toplevel
  from realm_tf.text.inputs import pack_single  # pylint: disable=import-outside-toplevel
  run = Run.existing(folder)
  model = run.model(run.newest_stage())
  rows = run.stored_index(model).read(run.corpus.stored_rows).astype(np.float32)
  texts = [question.question for question in run.questions("held_out")][:_QUERIES.value]
  tokens = run.corpus.tokenizer.tokenize(texts)
  packed = pack_single(tokens, run.config.retriever.query_length, run.corpus.tokenizer)
  return rows, model.retriever.embed_queries(packed).numpy()


def measure(search, queries: np.ndarray, exact: np.ndarray, batch: int, repeats: int
            ) -> tuple[float, float]:
  """Recall, and milliseconds per query: the median over batches of all repeats."""
  batches, seconds = [], []
  search(queries[:batch])  # warms up
  for repeat in range(repeats):
    for first in range(0, len(queries) - batch + 1, batch):
      begun = time.perf_counter()
      rows = search(queries[first:first + batch])
      seconds.append((time.perf_counter() - begun) / batch)
      if repeat == 0:
        batches.append(rows)
  batches = np.concatenate(batches)
  recall = (exact[:len(batches), :, None] == batches[:, None]).any(2).mean()
  return float(recall), 1000 * statistics.median(seconds)


def _ours(rows, queries, note):
  """Exact, and ours over ScaNN by growing shares of searched leaves."""
  import tensorflow as tf  # pylint: disable=import-outside-toplevel

  from realm_tf.config import IndexConfig  # pylint: disable=import-outside-toplevel
  from realm_tf.index.exact import ExactIndex  # pylint: disable=import-outside-toplevel
  from realm_tf.index.scann import ScannIndex  # pylint: disable=import-outside-toplevel
  spec = [tf.TensorSpec([None, rows.shape[1]])]

  def searcher(index):
    find = tf.function(lambda q: index.search(q, _K.value)[1], input_signature=spec)
    return lambda q: find(tf.constant(q)).numpy()

  index = ExactIndex()
  index.assign(rows, 0)
  note("exact (our op)", "", 0.0, searcher(index))
  leaves = round(math.sqrt(len(rows)))
  scann = ScannIndex(config=IndexConfig(kind="scann", leaves=leaves))
  begun = time.monotonic()
  scann.assign(scann.prepare(rows), 0)
  build, find = time.monotonic() - begun, searcher(scann)
  for count in _counts(leaves):
    scann.config = dataclasses.replace(scann.config, searched_leaves=count)
    note("scann, rescored by us", f"{count}/{leaves} leaves", build, find)


def _counts(leaves):
  return [max(1, round(share * leaves)) for share in _SHARES]


def _plain_scann(rows, queries, note):
  from scann.scann_ops.py import scann_ops_pybind  # pylint: disable=import-outside-toplevel
  leaves, begun = round(math.sqrt(len(rows))), time.monotonic()
  searcher = (
      scann_ops_pybind.builder(rows, _K.value, "dot_product")
      .tree(leaves, leaves // 10, training_sample_size=min(len(rows), 250_000))
      .score_ah(2, anisotropic_quantization_threshold=0.2,
                training_sample_size=min(len(rows), 250_000))
      .reorder(_RESCORED).build())
  build = time.monotonic() - begun
  for count in _counts(leaves):
    note("plain scann, reorder", f"{count}/{leaves} leaves", build,
         lambda q, count=count: searcher.search_batched_parallel(
             q, _K.value, _RESCORED, count)[0].astype(np.int32))


_IN_FAISS = """
import sys; sys.path.insert(0, sys.argv[1])
import json, time, math
import faiss, numpy as np
from index_recall import measure
folder, k, batch, repeats, ef = sys.argv[2], *map(int, sys.argv[3:7])
methods = sys.argv[7].split(",")
rows, queries, exact = (
    np.load(f"{folder}/{name}.npy") for name in ("rows", "queries", "exact"))
def note(method, setting, build, index):
  recall, ms = measure(lambda q: index.search(q, k)[1], queries, exact, batch, repeats)
  print(json.dumps({"method": method, "setting": setting, "recall": recall,
                    "ms_per_query": ms, "build_seconds": build}), flush=True)
begun = time.monotonic()
leaves = round(math.sqrt(len(rows)))
if "ivf" in methods:
  index = faiss.IndexIVFFlat(faiss.IndexFlatIP(rows.shape[1]), rows.shape[1], leaves,
                             faiss.METRIC_INNER_PRODUCT)
  index.train(rows[:250_000]); index.add(rows)
  build = time.monotonic() - begun
  for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4):
    index.nprobe = max(1, round(share * leaves))
    note("faiss IVFFlat", f"{index.nprobe}/{leaves} lists", build, index)
if "hnsw" in methods:
  begun = time.monotonic()
  index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
  index.hnsw.efConstruction = ef
  index.add(rows)
  build = time.monotonic() - begun
  for ef in (16, 32, 64, 128, 256):
    index.hnsw.efSearch = ef
    note("faiss HNSW, M=32", f"efSearch {ef}", build, index)
"""


def _faiss(rows, queries, exact_rows, methods, keep):
  with tempfile.TemporaryDirectory() as folder:
    for name, array in (("rows", rows), ("queries", queries), ("exact", exact_rows)):
      np.save(f"{folder}/{name}.npy", np.ascontiguousarray(array))
    with subprocess.Popen(
        [_FAISS.value, "-c", _IN_FAISS, str(pathlib.Path(__file__).parent), folder,
         *map(str, (_K.value, _BATCH.value, _REPEATS.value, _EF.value)), ",".join(methods)],
        stdout=subprocess.PIPE, text=True) as child:
      for line in child.stdout:
        keep(json.loads(line))
    if child.returncode:
      raise SystemExit("faiss failed; see above")


def _plot(paths: list[str]) -> None:
  """Recall against queries per second, a panel for each file."""
  import matplotlib  # pylint: disable=import-outside-toplevel
  matplotlib.use("Agg")
  from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
  figure, panels = pyplot.subplots(1, len(paths), figsize=(6 * len(paths), 4.5),
                                   squeeze=False)
  for path, panel in zip(paths, panels[0]):
    measured = json.loads(pathlib.Path(path).read_text())
    for method in dict.fromkeys(line["method"] for line in measured["lines"]):
      points = [line for line in measured["lines"] if line["method"] == method]
      panel.plot([line["recall"] for line in points],
                 [1000 / line["ms_per_query"] for line in points], "o-", label=method)
    panel.set(title=f"{measured['rows'][0]:,} x {measured['rows'][1]}, {measured['data']}",
              xlabel=f"recall@{measured['k']}", yscale="log",
              ylabel=f"queries per second, batch {measured['batch']}")
    panel.grid(True, which="both", alpha=0.3)
    panel.legend()
  figure.tight_layout()
  figure.savefig(_PLOT.value, dpi=100)


def main(arguments: list[str]) -> None:
  if _PLOT.value:
    _plot(arguments[1:])
    return
  rows, queries = (_of_run(_WORKDIR.value) if _WORKDIR.value else
                   clustered(_ROWS.value, _SIZE.value, _QUERIES.value))
  import realm_tf  # pylint: disable=import-outside-toplevel
  exact_rows = realm_tf.top_k_inner_product(queries, rows, _K.value)[1].numpy()
  print(f"{rows.shape[0]} rows x {rows.shape[1]}, {len(queries)} queries, top {_K.value}, "
        f"batch {_BATCH.value}, median of {_REPEATS.value} repeats, {processor()}")
  result = {"rows": list(rows.shape), "batch": _BATCH.value, "k": _K.value,
            "data": "a run" if _WORKDIR.value else "clustered", "processor": processor(),
            "lines": []}
  path = pathlib.Path(_JSON.value) if _JSON.value else None
  if path and path.exists():
    result = json.loads(path.read_text())
    if result["rows"] != list(rows.shape):
      raise SystemExit(f"{path}: of other rows")

  def keep(line):
    print(f"{line['method']:24s} {line['setting']:18s} recall {line['recall']:.4f}  "
          f"{line['ms_per_query']:8.4f} ms/query  built in {line['build_seconds']:.1f} s",
          flush=True)
    result["lines"].append(line)
    if path:
      path.write_text(json.dumps(result, indent=2) + "\n")

  def note(method, setting, build, search):
    recall, ms = measure(search, queries, exact_rows, _BATCH.value, _REPEATS.value)
    keep({"method": method, "setting": setting, "recall": recall, "ms_per_query": ms,
          "build_seconds": build})

  if "ours" in _METHODS.value:
    _ours(rows, queries, note)
  if "scann" in _METHODS.value:
    _plain_scann(rows, queries, note)
  faiss_methods = [name for name in ("ivf", "hnsw") if name in _METHODS.value]
  if faiss_methods:
    _faiss(rows, queries, exact_rows, faiss_methods, keep)


if __name__ == "__main__":
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
  app.run(main)
