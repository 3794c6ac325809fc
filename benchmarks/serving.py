"""Questions and passages encoded by ours and by what is deployed today, in one run.

    python benchmarks/serving.py --json=serving.json

all-MiniLM-L6 with a mean over tokens; questions of 12 word pieces (a dozen real ones),
Wikipedia leads of at most 128. Ours is the graph that a `native` export computes an
embedding by, layer by layer and by the packed op in float32 and int8; the others are
PyTorch (transformers), ONNX Runtime and OpenVINO of the same weights, from an environment of
their own in build/. Each is a process of its own that takes turns with the others and runs
the same measurements (`encoder_load.py`): passages per second in batches of 32, the latency
of one question and of five passages at a time, and questions per second by so many clients,
which are threads. `overlap` is the share of the ten nearest passages of each passage that
are the same as in float32.
"""

import json
import pathlib
import statistics
import sys
import tempfile

import numpy as np
import peers
from absl import app, flags
from encoder_load import measure, padded, rows_of
from machine import processor

_PASSAGES = flags.DEFINE_integer("passages", 600, "How many are embedded.", lower_bound=40)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often every system is measured.")
_SECONDS = flags.DEFINE_float("seconds", 3, "That questions are asked, for every number.")
_CLIENTS = flags.DEFINE_list("clients", ["1", "8", "64"], "How many ask at once.")
_SYSTEMS = flags.DEFINE_list("systems", None, "Which; all by default.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_OURS = flags.DEFINE_string("ours", None, "Measure ours here; used by the script itself.")
_WORK = flags.DEFINE_string("work", None, "Folder for it; used by the script itself.")

_LENGTH = 128
_CALIBRATION = 128  # passages by which int8 is chosen; nncf's has 300
_ALL = ("ours layers", "ours float32", "ours int8", "pytorch float32", "onnxruntime float32",
        "onnxruntime int8", "openvino float32", "openvino int8")
_QUESTIONS = (
    "what is the capital city of the country france?",
    "who wrote the play about the prince of denmark?",
    "when did the second world war come to an end?",
    "which river flows through the city of london town?",
    "how many people live in the city of oslo?",
    "who was the first man to walk on the moon?",
    "what is the largest planet in our solar system called?",
    "where were the first modern olympic games held in 1896?")


def _write_rows(folder: pathlib.Path) -> None:
  from realm_tf import assets
  from realm_tf.corpus.readers import read_documents
  from realm_tf.text.tokenizer import Tokenizer
  places = assets.fetch(["minilm", "wiki-leads"], "data")
  tokenizer = Tokenizer.from_file(places["minilm"] / "vocab.txt")
  documents = list(read_documents(places["wiki-leads"] / "summaries.json"))
  chosen = np.random.default_rng(0).permutation(len(documents))[:_PASSAGES.value]

  def pieces(texts):
    return [list(row) for row in tokenizer.tokenize(texts).to_list()]

  titles, texts = (pieces([getattr(documents[i], part) for i in chosen])
                   for part in ("title", "text"))
  start, end = [tokenizer.cls_id], [tokenizer.sep_id]
  passages = [(start + title + end, text[:_LENGTH - len(title) - 3] + end)
              for title, text in zip(titles, texts, strict=True)]
  questions = [(start + row + end, []) for row in pieces(list(_QUESTIONS))]
  for name, rows in (("passages", passages), ("questions", questions)):
    np.savez(folder / f"{name}.npz",
             values=np.concatenate([first + second for first, second in rows]).astype(int),
             lengths=[len(first) + len(second) for first, second in rows],
             first_lengths=[len(first) for first, _ in rows])
  (folder / "weights.txt").write_text(str(places["minilm"]))


def _graph(bert):
  """Ids, mask and segments [B, T] int64 -> vectors [B, H]."""
  import tensorflow as tf

  @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64)] * 3)
  def embed(ids, mask, segments):
    ids, mask, segments = (tf.cast(part, tf.int32) for part in (ids, mask, segments))
    hidden = bert(ids, mask > 0, segments)
    weights = tf.cast(mask, tf.float32)[:, :, None]
    return tf.reduce_sum(hidden * weights, 1) / tf.reduce_sum(weights, 1)

  run = embed.get_concrete_function()
  return lambda *parts: run(*map(tf.constant, parts)).numpy()


def _measure_ours(name: str, folder: pathlib.Path) -> None:
  import tensorflow as tf

  from realm_tf.models.multiplied import gram_matrices
  from realm_tf.models.retriever import Retriever
  from realm_tf.ops.bert import computing
  retriever = Retriever.from_pretrained(
      (folder / "weights.txt").read_text(), pooling="mean", projection_size=384)
  bert, precision = retriever.query_tower.bert, name.partition(" ")[2]
  grams = []
  if precision == "int8":  # as an export does, by some passages
    ids, mask, segments = padded(rows_of(f"{folder}/passages.npz")[:_CALIBRATION])
    grams = gram_matrices(bert, [(tf.constant(ids, tf.int32), tf.constant(mask > 0),
                                  tf.constant(segments, tf.int32))])
  with computing({} if precision == "layers" else {id(bert): bert.pack(precision, grams)}):
    embed = _graph(bert)
  measure(embed, str(folder), name, [int(count) for count in _CLIENTS.value], _SECONDS.value)


def _overlap(exact: np.ndarray, other: np.ndarray, count: int = 10) -> float:
  def nearest(table):
    table = table / np.linalg.norm(table, axis=1, keepdims=True)
    scores = table @ table.T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]

  return float((nearest(exact)[:, :, None] == nearest(other)[:, None]).any(2).mean())


def _command(system: str, folder: str) -> list[str]:
  clients, seconds = ",".join(_CLIENTS.value), str(_SECONDS.value)
  if system.startswith("ours"):
    return [sys.executable, __file__, f"--ours={system}", f"--work={folder}",
            f"--clients={clients}", f"--seconds={seconds}"]
  weights = (pathlib.Path(folder) / "weights.txt").read_text()
  return [peers.deployed_python(), peers.peer_script("encoder.py", "deployed"), system,
          weights, folder, clients, seconds]


def _summary(runs: list[dict]) -> dict[str, object]:
  """Medians over the rounds."""
  def median(*path):
    values = []
    for run in runs:
      for key in path:
        run = run[key]
      values.append(run)
    return statistics.median(values)

  return {"passages_per_second": median("passages_per_second"), "rounds": len(runs), **{
      kind: {count: {key: median(kind, count, key) for key in runs[0][kind][count]}
             for count in runs[0][kind]} for kind in ("question", "five_passages")}}


def main(_) -> None:
  if _OURS.value:
    _measure_ours(_OURS.value, pathlib.Path(_WORK.value))
    return
  with tempfile.TemporaryDirectory() as folder:
    _write_rows(pathlib.Path(folder))
    chosen = _SYSTEMS.value or _ALL
    measured = peers.take_turns({name: _command(name, folder) for name in chosen},
                                _ROUNDS.value)
    vectors = {name: np.load(f"{folder}/{name}.npy") for name in chosen}
  exact = vectors.get("ours layers", vectors[chosen[0]])
  result: dict[str, object] = {"processor": processor(), "passages": len(exact)}
  print(f"{processor()}; {len(exact)} passages; medians of {_ROUNDS.value} rounds\n")
  for name in chosen:
    figures = _summary(measured[name]) | {"overlap": _overlap(exact, vectors[name])}
    result[name] = figures
    print(f"{name:20s} {figures['passages_per_second']:6.1f} passages/s  overlap "
          f"{figures['overlap']:.3f}  five passages p50 "
          f"{figures['five_passages']['1']['p50']:.1f} ms")
    for count, times in figures["question"].items():
      print(f"{'':20s} {count:>3s} clients: p50 {times['p50']:.2f}, p95 {times['p95']:.2f}, "
            f"p99 {times['p99']:.2f}, least {times['least']:.2f} ms; "
            f"{times['per_second']:.0f} questions/s")
  if _JSON.value:
    pathlib.Path(_JSON.value).write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
  app.run(main)
