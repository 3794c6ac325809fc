"""What a GPU does: the exact search, a pre-training step and encoding, beside PyTorch.

    python benchmarks/gpu.py --peer=/path/to/python --json=benchmarks/results/gpu.json

Each measurement is a process of its own. The search is our op for GPUs, where it was built,
and its twin of stock TensorFlow ops, both exact, over 1 and 13.4 million rows of 128 units;
the step and the encoding are those of a BERT-base, in bfloat16 and float32, compiled by XLA
(`config.compile`) and not. PyTorch's step is the same mathematics on a `BertModel` with
scaled dot product attention (`hugging_face/gpu.py`), run by the interpreter that `--peer`
names. "refresh" is steps with and without a thread that encodes, as one that refreshes an
index. `gpu_bundle.py` brings realm_tf to a machine that has PyTorch alone.
`--only="step bfloat16"` measures a part. What matters most comes first, and what does not fit
into `--seconds` is told as not measured.
"""

import json
import os
import subprocess
import sys
import threading
import time

from absl import app, flags
from machine import processor

from realm_tf.files import new_file

_PEER = flags.DEFINE_string("peer", "", "A Python with torch and transformers, if any.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_MEASURE = flags.DEFINE_string("measure", None, "One figure; used by the script itself.")
_LIMIT = flags.DEFINE_integer("limit", 120, "Seconds that one measurement may take.")
_SECONDS = flags.DEFINE_integer("seconds", 450, "That all of them may take.")
_ONLY = flags.DEFINE_string("only", "", "Only measurements whose name begins so.")

SIZES = {"vocabulary": 30522, "hidden": 768, "layers": 12, "heads": 12, "batch": 8,
         "candidates": 8, "query": 64, "document": 224, "masks": 3}
_ROWS = (1_000_000, 13_353_718)
_OF_THIS_PYTHON = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH")
_REPEATS = 10
_COMPARED = 16  # passages
_LEAST_SECONDS = 15  # else a measurement is not begun


def _timed(run, repeats=_REPEATS) -> dict:
  """Seconds of a call, its result fetched; the first makes the graph."""
  begun = time.perf_counter()
  run()
  first, seconds = time.perf_counter() - begun, []
  run()
  for _ in range(repeats):
    begun = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - begun)
  seconds.sort()
  median = seconds[len(seconds) // 2]
  return {"seconds": median, "least": seconds[0], "most": seconds[-1], "repeats": repeats,
          "first": first, "compiled": first - median}


def _search(rows: int, precision: str) -> dict:
  import numpy as np
  import tensorflow as tf

  from realm_tf.ops import top_k_gpu, top_k_twin
  with tf.device("GPU"):
    table = tf.concat([tf.cast(tf.random.stateless_normal(
        [min(2**20, rows - first), 128], [0, first]), precision)
        for first in range(0, rows, 2**20)], 0)
  searches = {"": top_k_twin.top_k_inner_product_portable}
  if top_k_gpu.is_available():
    searches = {"": top_k_gpu.top_k_inner_product_gpu, " by the twin": searches[""]}
  result, found = {}, {}
  for name, top_k in searches.items():
    for batch in (1, 64):
      queries = tf.random.stateless_normal([batch, 128], [1, batch])
      search = tf.function(lambda q: top_k(q, table, 8))  # noqa: B023
      result[f"{batch} queries{name}"] = _timed(
          lambda: search(queries)[0].numpy())  # noqa: B023
    found[name] = search(queries)[0].numpy()
  # The truth, in double precision, for two of the queries, a part of the table at a time.
  best = [np.empty(0)] * 2
  for first in range(0, rows, 2**20):
    part = tf.cast(table[first:first + 2**20], tf.float64).numpy()
    best = [np.sort(np.concatenate([b, part @ q]))[-8:]
            for b, q in zip(best, queries[:2].numpy().astype(np.float64))]
  for scores in found.values():
    np.testing.assert_array_equal(scores[:2, ::-1], np.stack(best).astype(np.float32))
  return result


def _step(precision: str, compiled: str) -> dict:
  from realm_step import make_step, teraflop

  from realm_tf.ops.compiling import compiling
  s = SIZES
  rows, pair = s["batch"] * s["candidates"], s["query"] + s["document"]
  lengths = [s["query"]] * s["batch"], [s["document"]] * rows, [pair] * rows
  with compiling("on" if compiled == "compiled" else "off"):
    step = make_step(s, precision, lengths)
    begun = time.perf_counter()
    step.get_concrete_function()
    traced = time.perf_counter() - begun
    return _timed(lambda: step().numpy()) | {"traced": traced,
                                             "teraflop": teraflop(s, *lengths)}


def _tower(precision: str, rows: int):
  """A BERT's sizes, a document tower of it, and passages of full length."""
  import tensorflow as tf

  from realm_tf.models.bert import BertConfig
  from realm_tf.models.retriever import Retriever
  from realm_tf.text.inputs import Packed
  s = SIZES
  bert = BertConfig(s["vocabulary"], s["hidden"], s["layers"], s["heads"], 4 * s["hidden"])
  ids = tf.random.uniform([rows, s["document"]], 0, s["vocabulary"], tf.int32)
  return bert, Retriever(bert, precision=precision).document_tower, Packed(
      ids, tf.ones_like(ids, tf.bool), tf.zeros_like(ids), tf.fill([rows], s["document"]))


def _refresh(precision: str, compiled: str) -> dict:
  """Steps alone, then beside a thread that encodes without a pause."""
  import tensorflow as tf
  from realm_step import make_step

  from realm_tf.ops.compiling import compiling
  s, rows = SIZES, 128
  count = s["batch"] * s["candidates"]
  with compiling("on" if compiled == "compiled" else "off"):
    step = make_step(s, precision, ([s["query"]] * s["batch"], [s["document"]] * count,
                                    [s["query"] + s["document"]] * count))
    _, tower, packed = _tower(precision, rows)
    embed = tf.function(lambda p: tower(p))
    embed(packed)[0, 0].numpy()
    alone, ended, batches, errors = _timed(lambda: step().numpy()), threading.Event(), [], []

    def encode() -> None:
      try:
        while not ended.is_set():
          embed(packed)[0, 0].numpy()
          batches.append(time.perf_counter())
      except tf.errors.OpError as error:
        errors.append(str(error)[:200])

    thread = threading.Thread(target=encode)
    thread.start()
    begun = time.perf_counter()
    try:
      beside = _timed(lambda: step().numpy())
    finally:
      seconds = time.perf_counter() - begun
      ended.set()
      thread.join()
  return {"alone": alone, "beside": beside,
          "passages_a_second": rows * sum(b <= begun + seconds for b in batches) / seconds,
          **({"failed": errors[0]} if errors else {})}


def _encode(precision: str, compiled: str) -> dict:
  import tensorflow as tf

  from realm_tf.ops.compiling import compiling
  from realm_tf.text.inputs import Packed
  rows = 512
  bert, tower, packed = _tower(precision, rows)
  embed = tf.function(lambda p: tower(p))
  with compiling("on" if compiled == "compiled" else "off"):
    begun = time.perf_counter()
    embed.get_concrete_function(packed)
    traced = time.perf_counter() - begun
    figures = _timed(lambda: embed(packed)[0, 0].numpy())
    vectors = embed(packed)[:_COMPARED].numpy()
  few = Packed(*(part[:_COMPARED] for part in packed))
  return figures | {"traced": traced, "passages": rows} | _compared_with_cpu(
      bert, tower, few, vectors)


def _compared_with_cpu(bert, tower, packed, vectors) -> dict:
  """Vectors beside those that the processor makes of the same weights in float32."""
  import numpy as np
  import tensorflow as tf

  from realm_tf.models.retriever import Retriever
  from realm_tf.ops import portable
  with tf.device("CPU"), portable():
    exact = Retriever(bert, precision="float32").document_tower
    for copy, variable in zip(exact.variables, tower.variables, strict=True):
      copy.assign(variable.numpy())
    expected = tf.function(lambda p: exact(p))(packed).numpy()
  cosines = (vectors * expected).sum(1) / (
      np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1))
  return {"least_cosine": float(cosines.min()),
          "largest_difference": float(np.abs(vectors - expected).max()),
          "largest_value": float(np.abs(expected).max())}


_MEASURES = {"search": _search, "step": _step, "encode": _encode, "refresh": _refresh}


def _commands() -> dict[str, list[str]]:
  """The measurements by name, what matters most first."""
  ours = [sys.executable, __file__, "--measure"]
  commands = {}
  for precision in ("bfloat16", "float32"):
    for what in ("encode", "step"):
      if _PEER.value:
        commands[f"{what} {precision} PyTorch"] = [
            _PEER.value, __file__.replace("gpu.py", "hugging_face/gpu.py"),
            json.dumps(SIZES), what, precision, str(_REPEATS)]
      commands[f"{what} {precision} compiled"] = [*ours, f"{what}:{precision}:compiled"]
    for rows in _ROWS[::-1]:
      commands[f"search {rows} {precision}"] = [*ours, f"search:{rows}:{precision}"]
    if precision == "bfloat16":
      commands["refresh bfloat16 compiled"] = [*ours, "refresh:bfloat16:compiled"]
  for precision in ("bfloat16", "float32"):
    for what in ("encode", "step"):
      commands[f"{what} {precision} plain"] = [*ours, f"{what}:{precision}:plain"]
  return {name: command for name, command in commands.items()
          if name.startswith(_ONLY.value)}


def main(_) -> None:
  if _MEASURE.value:
    what, first, second = _MEASURE.value.split(":")
    value = int(first) if what == "search" else first
    print(json.dumps(_MEASURES[what](value, second)))
    return
  card = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
                        capture_output=True, text=True, check=True).stdout.strip()
  result = {"card": card, "processor": processor(), "sizes": SIZES, "figures": {}}
  print(card)
  end = time.monotonic() + _SECONDS.value
  for name, command in _commands().items():
    limit = min(_LIMIT.value, end - time.monotonic())
    kept = os.environ if command[0] == sys.executable else {
        key: value for key, value in os.environ.items() if key not in _OF_THIS_PYTHON}
    try:
      if limit < _LEAST_SECONDS:
        raise subprocess.TimeoutExpired(command, 0)
      done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=kept)
      figures = (json.loads(done.stdout.splitlines()[-1]) if not done.returncode
                 else {"failed": done.stderr[-800:]})
    except subprocess.TimeoutExpired as ended:
      figures = {"failed": f"took more than {ended.timeout:.0f} s" if ended.timeout else
                 f"not measured: {_SECONDS.value} s are over"}
    result["figures"][name] = figures
    print(f"{name:30s} {json.dumps(figures)}", flush=True)
    if _JSON.value:
      with new_file(_JSON.value, "w") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
  app.run(main)
