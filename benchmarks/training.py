"""A pre-training step of the same sizes and mathematics: ours and Hugging Face's.

    python benchmarks/training.py --json=training.json
    python benchmarks/training.py --profile            # where a step of ours goes

Hugging Face's is that of transformers 4.30.2 with PyTorch, in an environment of its own
that is made in build/ (hugging_face/requirements.txt). All sequences are of full length,
so nothing that ours saves on real text (padding, blocks that are retrieved twice, short
null documents) counts; "ours, real text" is the same step with the lengths of Wikipedia
leads. Each measurement is a process of its own; the rounds take turns.
"""

import json
import os
import resource
import sys
import tempfile
import time

import peers
from absl import app, flags
from machine import processor
from realm_step import make_step, teraflop
from step_sizes import SIZES

from realm_tf.files import new_file

_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often every system is measured.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Steps per measurement, after two to warm up.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_PROFILE = flags.DEFINE_bool("profile", False, "Only a profile of our step, by operation.")
_RECOMPUTE = flags.DEFINE_bool("recompute", False, "Ours keeps no activations of layers.")
_OURS = flags.DEFINE_enum("ours", None, ["float32", "bfloat16"],
                          "Measure ours in this process; used by the script itself.")
_TEXT = flags.DEFINE_string("lengths", None, "File of lengths; used by the script itself.")

_PRECISIONS = ("float32", "bfloat16")


def _full_lengths():
  s = SIZES
  rows = s["batch"] * s["candidates"]
  pair = s["query"] + s["document"]
  return [s["query"]] * s["batch"], [s["document"]] * rows, [pair] * rows


def _real_lengths():
  """Of sentences, of leads cut to 128 pieces, and of both; one of K leads is the null one."""
  import numpy as np

  from realm_tf import assets
  from realm_tf.corpus.readers import read_documents
  from realm_tf.text.sentences import split_sentences
  from realm_tf.text.tokenizer import Tokenizer

  s, rng = SIZES, np.random.default_rng(0)
  places = assets.fetch(["minilm", "wiki-leads"], "data")
  tokenizer = Tokenizer.from_file(places["minilm"] / "vocab.txt")
  documents = list(read_documents(places["wiki-leads"] / "summaries.json"))
  texts = [documents[i].text for i in rng.permutation(len(documents))[:400]]
  bodies = tokenizer.tokenize(texts).row_lengths().numpy()
  sentences = [text[first:end] for text in texts for first, end in split_sentences(text)]
  spoken = tokenizer.tokenize(sentences).row_lengths().numpy()
  query = np.minimum(rng.choice(spoken[spoken >= 8], s["batch"]), s["query"] - 2)
  body = np.minimum(rng.choice(bodies, [s["batch"], s["candidates"]]), s["document"] - 6)
  body[:, 0] = 0  # the null document
  return ((query + 2).tolist(), (body + 6).ravel().tolist(),
          (query[:, None] + body + 3).ravel().tolist())


def _measure_ours(precision: str, lengths) -> None:
  step, seconds = make_step(SIZES, precision, lengths, _RECOMPUTE.value), []
  for _ in range(_REPEATS.value + 2):  # the first traces, the second settles memory
    begun = time.perf_counter()
    step().numpy()
    seconds.append(time.perf_counter() - begun)
  print(json.dumps({"seconds": seconds[2:],
                    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


def _product_rate(precision: str) -> float:
  """TFLOP/s of the products of a layer with its largest kernel, and of their gradients."""
  import tensorflow as tf
  rows = SIZES["batch"] * SIZES["candidates"] * (SIZES["query"] + SIZES["document"])
  size = SIZES["hidden"]
  x, kernel, dy = (tf.cast(tf.random.normal(shape), precision) for shape in (
      [rows, size], [size, 4 * size], [rows, 4 * size]))
  times = []
  for _ in range(12):
    begun = time.perf_counter()
    tf.matmul(x, kernel)
    tf.matmul(dy, kernel, transpose_b=True)
    tf.matmul(dy, x, transpose_a=True).numpy()
    times.append(time.perf_counter() - begun)
  return 3 * 2 * rows * 4 * size ** 2 / sorted(times)[len(times) // 2] / 1e12


def _profile(precision: str) -> None:
  """Seconds of all threads together, by operation."""
  import collections
  import pathlib

  import tensorflow as tf
  from tensorflow.tsl.profiler.protobuf import xplane_pb2
  step = make_step(SIZES, precision, _full_lengths(), _RECOMPUTE.value)
  for _ in range(2):
    step().numpy()
  with tempfile.TemporaryDirectory() as folder:
    with tf.profiler.experimental.Profile(folder):
      begun = time.perf_counter()
      step().numpy()
      wall = time.perf_counter() - begun
    space = xplane_pb2.XSpace()
    space.ParseFromString(next(pathlib.Path(folder).rglob("*.xplane.pb")).read_bytes())
  total: collections.Counter = collections.Counter()
  for plane in space.planes:
    for line in plane.lines:
      for event in line.events:
        name = plane.event_metadata[event.metadata_id].name
        if ":" in name:  # "node:Operation"
          total[name.rsplit(":", 1)[1].strip()] += event.duration_ps / 1e12
  rate, work = _product_rate(precision), teraflop(SIZES, *_full_lengths())
  print(f"{precision}: a step of {wall:.2f} s. Its products alone, {work:.2f} TFLOP at the "
        f"{rate:.2f} TFLOP/s that TensorFlow's reach: {work / rate:.2f} s")
  seconds_by_name = {name: seconds for name, seconds in total.items()
                     if name not in ("Run", "Process") and not name.startswith("__inference")}
  print(f"operations, of {len(os.sched_getaffinity(0))} cores together "
        f"{sum(seconds_by_name.values()):.2f} s:")
  for name, seconds in sorted(seconds_by_name.items(), key=lambda item: -item[1])[:12]:
    print(f"  {seconds:6.3f} s  {name}")


def main(_) -> None:
  if _PROFILE.value:
    for precision in _PRECISIONS:
      _profile(precision)
    return
  if _OURS.value:
    lengths = _full_lengths()
    if _TEXT.value:
      with open(_TEXT.value) as file:
        lengths = json.load(file)
    _measure_ours(_OURS.value, lengths)
    return
  full, real = _full_lengths(), _real_lengths()
  our_command = [sys.executable, __file__, f"--repeats={_REPEATS.value}"]
  hugging_face = [peers.hugging_face_python(), peers.peer_script("step.py"),
                  json.dumps(SIZES)]
  with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    json.dump(real, file)
    file.flush()
    commands = {}
    for p in _PRECISIONS:
      commands[f"Hugging Face, {p}"] = [*hugging_face, p, str(_REPEATS.value)]
      commands[f"ours, {p}"] = [*our_command, f"--ours={p}"]
      commands[f"ours, real text, {p}"] = [*our_command, f"--ours={p}",
                                           f"--lengths={file.name}"]
    results = peers.take_turns(commands, _ROUNDS.value)
  result = {"processor": processor(), "sizes": SIZES, "teraflop": teraflop(SIZES, *full),
            "teraflop_real_text": teraflop(SIZES, *real), "rounds": _ROUNDS.value,
            "systems": {}}
  print(f"{processor()}; batch {SIZES['batch']} x {SIZES['candidates']} candidates: "
        f"{teraflop(SIZES, *full):.2f} TFLOP, real text {teraflop(SIZES, *real):.2f}\n")
  for name, ones in results.items():
    median, least, most, count = peers.pooled(ones)
    peak = max(measured["peak_gb"] for measured in ones)
    precision = name.rsplit(", ", 1)[1]
    ratio = peers.pooled(results[f"Hugging Face, {precision}"])[0] / median
    result["systems"][name] = {"seconds": median, "least": least, "most": most,
                               "repeats": count, "peak_gb": peak, "ratio": ratio}
    print(f"{name:26s} {median:6.2f} s ({least:.2f} - {most:.2f}, {count})  {peak:4.1f} GB  "
          f"{ratio:5.2f}x")
  for p in _PRECISIONS:
    result[f"step_ratio_{p}"] = result["systems"][f"ours, {p}"]["ratio"]
    result[f"real_text_ratio_{p}"] = result["systems"][f"ours, real text, {p}"]["ratio"]
  result["peak_gb"] = max(result["systems"][f"ours, {p}"]["peak_gb"] for p in _PRECISIONS)
  if _JSON.value:
    with new_file(_JSON.value, "w") as file:
      json.dump(result, file, indent=2)


if __name__ == "__main__":
  app.run(main)
