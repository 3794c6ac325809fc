"""A pre-training step of the same sizes and mathematics: ours and Hugging Face's.

    python benchmarks/training_step.py --peer_python=/path/to/venv/bin/python

The peer's interpreter has torch and transformers 4.30.2; without it only ours is
measured. All sequences are of full length, so nothing that ours saves on real text
(padding, blocks that are retrieved twice, short null documents) counts here. Each
measurement is a process of its own; the rounds alternate.
"""

import json
import statistics
import subprocess
import sys

from absl import app, flags
from machine import processor

from realm_tf.files import new_file

_PEER = flags.DEFINE_string("peer_python", None, "Interpreter with torch and transformers.")
_ROUNDS = flags.DEFINE_integer("rounds", 2, "How often every system is measured.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Steps per measurement, after one to warm up.")
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")
_OURS = flags.DEFINE_enum("ours", None, ["float32", "bfloat16"],
                          "Measure ours in this process; used by the script itself.")

SIZES = {"vocabulary": 30522, "hidden": 384, "layers": 6, "heads": 12, "batch": 4,
         "candidates": 8, "query": 64, "document": 128, "masks": 3}


def _teraflops(sizes: dict[str, int]) -> float:
  """Of the matrix products of a step, forward and backward, logits at masks only."""
  hidden, layers = sizes["hidden"], sizes["layers"]
  rows = sizes["batch"] * sizes["candidates"]
  pair = sizes["query"] + sizes["document"]
  forward = rows * sizes["masks"] * hidden * sizes["vocabulary"] * 2
  for count, length in ((sizes["batch"], sizes["query"]), (rows, sizes["document"]),
                        (rows, pair)):
    forward += count * length * layers * (24 * hidden ** 2 + 4 * length * hidden)
  return 3 * forward / 1e12


def _measure_ours(precision: str) -> None:
  # Heavy imports, for the child process alone.
  import resource
  import time

  import tensorflow as tf

  from realm_tf.config import EncoderConfig, PretrainConfig, RetrieverConfig
  from realm_tf.models import losses
  from realm_tf.models.bert import BertConfig
  from realm_tf.models.encoder import KnowledgeEncoder
  from realm_tf.models.retriever import Retriever
  from realm_tf.text.inputs import Packed
  from realm_tf.training.optimizer import make_optimizer

  s = SIZES
  bert = BertConfig(s["vocabulary"], s["hidden"], s["layers"], s["heads"], 4 * s["hidden"],
                    hidden_act="gelu_new")
  retriever = Retriever(RetrieverConfig(precision=precision), bert)
  encoder = KnowledgeEncoder(EncoderConfig(precision=precision), bert)
  rows = s["batch"] * s["candidates"]

  def packed(count: int, length: int) -> Packed:
    ids = tf.random.uniform([count, length], 1000, s["vocabulary"], tf.int32)
    return Packed(ids, tf.ones_like(ids, tf.bool), tf.zeros_like(ids),
                  tf.fill([count], length))

  queries, documents = packed(s["batch"], s["query"]), packed(rows, s["document"])
  pairs = packed(rows, s["query"] + s["document"])
  positions = tf.tile(tf.range(5, 5 + s["masks"])[None], [rows, 1])
  labels = tf.gather(pairs.ids, positions, batch_dims=1)
  ones = tf.ones([rows, s["masks"]])
  optimizer = make_optimizer(PretrainConfig(learning_rate=3e-5))

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      of_queries, of_documents = retriever(queries, documents)
      scores = tf.einsum("bd,bkd->bk", of_queries, tf.reshape(
          of_documents, [s["batch"], s["candidates"], -1]))
      log_probs = tf.reshape(encoder.mask_log_probs(pairs, positions, labels, ones),
                             [s["batch"], s["candidates"], -1])
      loss = tf.reduce_mean(losses.per_mask_loss(scores, log_probs, ones[:s["batch"]]))
    variables = [*retriever.trainable_variables, *encoder.bert.trainable_variables,
                 *encoder.masked_lm.trainable_variables]
    optimizer.apply(tape.gradient(loss, variables), variables)
    return loss

  seconds = []
  for _ in range(_REPEATS.value + 2):  # the first traces, the second settles memory
    begun = time.perf_counter()
    step().numpy()
    seconds.append(time.perf_counter() - begun)
  print(json.dumps({"seconds": seconds[2:],
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def _child(command: list[str]) -> dict:
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
  return json.loads(done.stdout.splitlines()[-1])


def _commands() -> dict[str, list[str]]:
  commands = {f"ours, {p}": [sys.executable, __file__, f"--ours={p}",
                             f"--repeats={_REPEATS.value}"]
              for p in ("float32", "bfloat16")}
  if _PEER.value:
    script = __file__.replace("training_step", "hugging_face_step")
    commands |= {f"Hugging Face, {p}": [_PEER.value, script, json.dumps(SIZES), p,
                                        str(_REPEATS.value)]
                 for p in ("float32", "bfloat16")}
  return commands


def main(_) -> None:
  if _OURS.value:
    _measure_ours(_OURS.value)
    return
  found: dict[str, list[dict]] = {}
  for _ in range(_ROUNDS.value):
    for name, command in _commands().items():
      found.setdefault(name, []).append(_child(command))
  table = {name: {"seconds": statistics.median(s for one in ones for s in one["seconds"]),
                  "peak_mb": max(one["peak_mb"] for one in ones)}
           for name, ones in found.items()}
  print(f"{processor()}; {_teraflops(SIZES):.2f} TFLOP; median of "
        f"{_ROUNDS.value * _REPEATS.value} steps\n")
  for name, values in table.items():
    peer = table.get(name.replace("ours", "Hugging Face"))
    ratio = f"   {peer['seconds'] / values['seconds']:.2f} x" if peer else ""
    print(f"{name:24s} {values['seconds']:6.2f} s {values['peak_mb']:8.0f} MB{ratio}")
  if _JSON.value:
    with new_file(_JSON.value, "w") as file:
      json.dump({"processor": processor(), "sizes": SIZES, "systems": table}, file, indent=2)


if __name__ == "__main__":
  app.run(main)
