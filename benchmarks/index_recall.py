"""Recall against latency: our indexes beside plain ScaNN and faiss.

    python benchmarks/index_recall.py --rows=1000000 --json=recall.json
    python benchmarks/index_recall.py --workdir=runs/mine --faiss_python=/venv/bin/python

The rows are clustered vectors (a mixture of 4,096 Gaussians of unequal weight whose
centres lie on a hierarchy), or with --workdir the index of a run, its held-out
questions being the queries. faiss-cpu is no dependency of ours: name a Python that has
it, and it is run there on the same rows. Times are medians over repeated batches.
"""

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
_FAISS = flags.DEFINE_string("faiss_python", None, "A Python that has faiss-cpu.")
_HNSW = flags.DEFINE_bool("hnsw", True, "Build faiss's HNSW too, which takes long.")
_JSON = flags.DEFINE_string("json", None, "File for the results.")

_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # of the leaves that are searched


def clustered(rows: int, size: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
  """Rows [N, D] and queries [Q, D] of one distribution, of norm about sqrt(D)."""
  rng = np.random.default_rng(0)
  groups = rng.normal(size=[64, size])
  centres = groups[rng.integers(64, size=4096)] + 0.7 * rng.normal(size=[4096, size])
  weights = 1 / np.arange(1, 4097) ** 0.7

  def draw(count):
    of = rng.choice(4096, count, p=weights / weights.sum())
    spread = rng.standard_normal([count, size], np.float32) * np.float32(0.6)
    return (centres[of].astype(np.float32) + spread) / np.float32(1.36)

  return draw(rows), draw(queries)


def _of_run(folder: str) -> tuple[np.ndarray, np.ndarray]:
  from realm_tf.cli.run_folder import RunFolder  # pylint: disable=import-outside-toplevel
  from realm_tf.text.inputs import pack_single  # pylint: disable=import-outside-toplevel
  run = RunFolder.existing(folder)
  model = run.model(run.newest_stage())
  rows = run.stored_index(model).read(run.corpus.stored_rows).astype(np.float32)
  texts = [question.question for question in run.questions("held_out")][:_QUERIES.value]
  tokens = run.corpus.tokenizer.tokenize(texts)
  packed = pack_single(tokens, run.config.retriever.query_length, run.corpus.tokenizer)
  return rows, model.retriever.embed_queries(packed).numpy()


def measure(search, queries: np.ndarray, exact: np.ndarray, batch: int, repeats: int
            ) -> tuple[float, float]:
  """Recall, and milliseconds per query: the median over batches of all repeats."""
  found, seconds = [], []
  search(queries[:batch])  # warms up
  for repeat in range(repeats):
    for first in range(0, len(queries) - batch + 1, batch):
      begun = time.perf_counter()
      rows = search(queries[first:first + batch])
      seconds.append((time.perf_counter() - begun) / batch)
      if repeat == 0:
        found.append(rows)
  found = np.concatenate(found)
  recall = (exact[:len(found), :, None] == found[:, None]).any(2).mean()
  return float(recall), 1000 * statistics.median(seconds)


def _ours(rows, queries, exact_rows, lines):
  """Exact, ours over ScaNN, and ScaNN alone, by growing shares of searched leaves."""
  import tensorflow as tf  # pylint: disable=import-outside-toplevel

  from realm_tf.config import IndexConfig  # pylint: disable=import-outside-toplevel
  from realm_tf.index.exact import ExactIndex  # pylint: disable=import-outside-toplevel
  from realm_tf.index.scann import ScannIndex  # pylint: disable=import-outside-toplevel
  k, batch, repeats = _K.value, _BATCH.value, _REPEATS.value

  def note(method, setting, build, search):
    recall, ms = measure(search, queries, exact_rows, batch, repeats)
    lines.append({"method": method, "setting": setting, "recall": recall,
                  "ms_per_query": ms, "build_seconds": build})
    _show(lines[-1])

  index = ExactIndex(*rows.shape)
  index.assign(rows, 0)
  spec = [tf.TensorSpec([None, rows.shape[1]])]
  live = tf.function(lambda q: index.search(q, k)[1], input_signature=spec)
  note("exact (our op)", "", 0.0, lambda q: live(tf.constant(q)).numpy())
  leaves = round(math.sqrt(len(rows)))
  ours = ScannIndex(*rows.shape, IndexConfig(kind="scann", leaves=leaves))
  begun = time.monotonic()
  prepared = ours.prepare(rows)
  ours.assign(prepared, 0)
  build = time.monotonic() - begun
  for share in _SHARES:
    count = max(1, round(share * leaves))
    searcher = ours._searcher.scann  # pylint: disable=protected-access

    class Searching:  # the same searcher, with another number of leaves
      def search_batched_parallel(self, q, final, pre, count=count, searcher=searcher):
        return searcher.search_batched_parallel(q, final, pre, count)

    ours._searcher = ours._searcher._replace(scann=Searching())  # pylint: disable=protected-access
    live = tf.function(lambda q: ours.search(q, k)[1], input_signature=spec)
    note("scann, rescored by our op", f"{count}/{leaves} leaves", build,
         lambda q, live=live: live(tf.constant(q)).numpy())
    ours._searcher = ours._searcher._replace(scann=searcher)  # pylint: disable=protected-access
  _plain_scann(rows, leaves, k, ours.config.rescored, note)


def _plain_scann(rows, leaves, k, rescored, note):
  from scann.scann_ops.py import scann_ops_pybind  # pylint: disable=import-outside-toplevel
  begun = time.monotonic()
  searcher = (
      scann_ops_pybind.builder(rows, k, "dot_product")
      .tree(leaves, leaves // 10, training_sample_size=min(len(rows), 250_000))
      .score_ah(2, anisotropic_quantization_threshold=0.2,
                training_sample_size=min(len(rows), 250_000))
      .reorder(rescored).build())
  build = time.monotonic() - begun
  for share in _SHARES:
    count = max(1, round(share * leaves))
    note("plain scann, reorder", f"{count}/{leaves} leaves", build,
         lambda q, count=count: searcher.search_batched_parallel(
             q, k, rescored, count)[0].astype(np.int32))


_IN_FAISS = """
import sys; sys.path.insert(0, sys.argv[1])
import json, time, math
import faiss, numpy as np
from index_recall import measure
folder, k, batch, repeats, hnsw = sys.argv[2], *map(int, sys.argv[3:7])
rows, queries, exact = (
    np.load(f"{folder}/{name}.npy") for name in ("rows", "queries", "exact"))
def note(method, setting, build, index):
  recall, ms = measure(lambda q: index.search(q, k)[1], queries, exact, batch, repeats)
  print(json.dumps({"method": method, "setting": setting, "recall": recall,
                    "ms_per_query": ms, "build_seconds": build}), flush=True)
begun = time.monotonic()
leaves = round(math.sqrt(len(rows)))
index = faiss.IndexIVFFlat(faiss.IndexFlatIP(rows.shape[1]), rows.shape[1], leaves,
                           faiss.METRIC_INNER_PRODUCT)
index.train(rows[:250_000]); index.add(rows)
build = time.monotonic() - begun
for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4):
  index.nprobe = max(1, round(share * leaves))
  note("faiss IVFFlat", f"{index.nprobe}/{leaves} lists", build, index)
if hnsw:
  begun = time.monotonic()
  index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
  index.add(rows)
  build = time.monotonic() - begun
  for ef in (16, 32, 64, 128, 256):
    index.hnsw.efSearch = ef
    note("faiss HNSW, M=32", f"efSearch {ef}", build, index)
"""


def _faiss(rows, queries, exact_rows, lines):
  with tempfile.TemporaryDirectory() as folder:
    for name, array in (("rows", rows), ("queries", queries), ("exact", exact_rows)):
      np.save(f"{folder}/{name}.npy", np.ascontiguousarray(array))
    with subprocess.Popen(
        [_FAISS.value, "-c", _IN_FAISS, str(pathlib.Path(__file__).parent), folder,
         *map(str, (_K.value, _BATCH.value, _REPEATS.value, int(_HNSW.value)))],
        stdout=subprocess.PIPE, text=True) as child:
      for line in child.stdout:
        lines.append(json.loads(line))
        _show(lines[-1])
    if child.returncode:
      raise SystemExit("faiss failed; see above")


def _show(line):
  print(f"{line['method']:26s} {line['setting']:18s} recall {line['recall']:.4f}  "
        f"{line['ms_per_query']:8.4f} ms/query  built in {line['build_seconds']:.1f} s",
        flush=True)


def main(_) -> None:
  rows, queries = (_of_run(_WORKDIR.value) if _WORKDIR.value else
                   clustered(_ROWS.value, _SIZE.value, _QUERIES.value))
  import realm_tf  # pylint: disable=import-outside-toplevel
  exact_rows = realm_tf.top_k_inner_product(queries, rows, _K.value)[1].numpy()
  print(f"{rows.shape[0]} rows x {rows.shape[1]}, {len(queries)} queries, top {_K.value}, "
        f"batch {_BATCH.value}, median of {_REPEATS.value} repeats, {processor()}")
  lines: list[dict] = []
  _ours(rows, queries, exact_rows, lines)
  if _FAISS.value:
    _faiss(rows, queries, exact_rows, lines)
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps({
        "rows": rows.shape, "batch": _BATCH.value, "k": _K.value, "processor": processor(),
        "workdir": _WORKDIR.value, "lines": lines}, indent=2) + "\n")


if __name__ == "__main__":
  sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
  app.run(main)
