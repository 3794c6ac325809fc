"""What the gradients of embeddings are, and what it costs that they are dense.

    python benchmarks/embedding_gradients.py --json=embedding_gradients.json

A step looks up some rows of the table of words, and the update of BERT's AdamW moves all of
them: the moments of a row that was not looked up decay, and move its weights. So a gradient
that lists the rows of its tokens (tf.IndexedSlices) has to become one of the whole table
somewhere before the update, or the update has to do without.

First: one step of each stage, with configs/pretraining.py over a thousand leads; of each
table what the gradient's tape gives. Layers by our ops ("off") and compiled by XLA ("on").

Then, on tables of 30,522 words: the parts of what runs (rows added up into a table of zeros,
its norm, the update), what a gradient by rows would need instead (the rows of a word added up
among themselves), and so what it would spare at most, beside the time of a whole step. An
update by rows would read no gradient, one of its seven passes over memory.
"""

import collections
import json
import pathlib
import statistics
import tempfile
import time
from typing import Any, Callable

import realm_tf  # noqa: F401  # isort: skip -- before TensorFlow
from absl import app, flags
from machine import processor, report
from realm_step import make_step
from step_sizes import SIZES

_DATA = flags.DEFINE_string("data", "data", "Where BERT-tiny, leads and questions are.")
_REPEATS = flags.DEFINE_integer("repeats", 15, "Of each part and step.", lower_bound=3)
_ONLY = flags.DEFINE_enum("only", None, ["kinds", "costs"], "One of the two parts.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")

_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")
_LEADS = 1000
_WORDS = SIZES["vocabulary"]
_STEPS = {"BERT-tiny": {**SIZES, "hidden": 128, "layers": 2, "heads": 2}, "MiniLM": SIZES}


def _one_step_each(folder: pathlib.Path, mode: str):
  """A run of configs/pretraining.py, over few leads, one step of each stage."""
  from realm_tf import config as config_lib
  whole = pathlib.Path(_DATA.value) / "wiki-leads" / "summaries.json"
  leads = json.loads(whole.read_text())
  (folder / "leads.json").write_text(json.dumps(dict(list(leads.items())[:_LEADS])))
  changes: dict[str, Any] = {
      "data": str(pathlib.Path(_DATA.value).absolute()), "compile": mode,
      "corpus.source": str(folder / "leads.json"), "checkpoint_every": 0,
      "diagnosis.every": 0, "cloze.read_blocks": 2, "finetune.beam_size": 50}
  for stage in ("ict", "reading", "pretrain", "dpr", "cloze", "finetune"):
    changes |= {f"{stage}.steps": 1, f"{stage}.batch_size": 8, f"{stage}.warmup_steps": 0}
  root = pathlib.Path(__file__).parents[1]
  return config_lib.read(root / "configs" / "pretraining.py", changes)


def _kinds(mode: str) -> dict[str, dict[str, str]]:
  """By stage and table: what the tape gives to the update."""
  import tensorflow as tf

  from realm_tf.ops.compiling import set_compiling
  from realm_tf.run import stages
  from realm_tf.run.folder import Run
  from realm_tf.training.loop import Loop
  from realm_tf.training.optimizer import AdamW
  seen: dict[str, dict[str, str]] = collections.defaultdict(dict)
  stage, make_loop, apply_by_part = "", Loop.__init__, AdamW.apply_by_part

  def named(self, name, *arguments, **options):
    nonlocal stage
    stage = name
    make_loop(self, name, *arguments, **options)

  def watched(self, gradients, variables):
    for part, those in variables.items():
      for gradient, variable in zip(gradients[part], those):
        table = next((name for name in _TABLES if name in variable.name), None)
        if table and gradient is not None:
          kind = "rows" if isinstance(gradient, tf.IndexedSlices) else "dense"
          seen[stage][f"{part} {table}".strip()] = kind
    return apply_by_part(self, gradients, variables)

  Loop.__init__, AdamW.apply_by_part = named, watched
  set_compiling(mode)
  with tempfile.TemporaryDirectory() as folder:
    run = Run(_one_step_each(pathlib.Path(folder), mode), pathlib.Path(folder) / "run")
    for each in ("corpus", "ict", "pretrain", "dpr", "cloze", "finetune"):
      getattr(stages, each)(run)
  set_compiling("auto")
  Loop.__init__, AdamW.apply_by_part = make_loop, apply_by_part
  return dict(seen)


def _milliseconds(run: Callable[[], Any]) -> dict[str, float]:
  """The least and the median of the repeats, after one that traces."""
  run()
  times = []
  for _ in range(_REPEATS.value):
    begun = time.perf_counter()
    run()
    times.append(1e3 * (time.perf_counter() - begun))
  return {"least": round(min(times), 3), "median": round(statistics.median(times), 3)}


def _parts(hidden: int, tokens: int) -> dict[str, Callable[[], Any]]:
  """What is done with the gradient of one table, on tokens as frequent as words are."""
  import numpy as np
  import tensorflow as tf

  from realm_tf.ops.adam_w import adam_w
  rng = np.random.default_rng(0)
  ids = tf.constant(np.minimum(rng.zipf(1.3, tokens), _WORDS) - 1, tf.int32)
  rows = tf.random.normal([tokens, hidden])
  weights, m, v = (tf.Variable(tf.random.uniform([_WORDS, hidden])) for _ in range(3))

  def added_up():
    return tf.math.unsorted_segment_sum(rows, ids, _WORDS)

  gradient = added_up()

  def update():
    adam_w(weights, m, v, gradient, rate=tf.constant(1e-4), decay=tf.constant(1e-6),
           scale=tf.constant(1.0), beta1=0.9, beta2=0.999, epsilon=1e-6)

  def among_themselves():
    words, places = tf.unique(ids)
    return tf.nn.l2_loss(tf.math.unsorted_segment_sum(rows, places, tf.size(words)))

  def one_hot():
    return tf.matmul(tf.one_hot(ids, _WORDS), rows, transpose_a=True)

  parts = {"added up": tf.function(added_up), "norm": tf.function(
      lambda: tf.nn.l2_loss(gradient)), "update": tf.function(update),
      "by rows": tf.function(among_themselves),
      "added up, XLA": tf.function(added_up, jit_compile=True)}
  if tokens <= 512:  # V tokens H operations
    parts["one-hot product, XLA"] = tf.function(one_hot, jit_compile=True)
  return parts


def _step(name: str, precision: str) -> dict[str, float]:
  s = _STEPS[name]
  rows = s["batch"] * s["candidates"]
  step = make_step(s, precision, ([s["query"]] * s["batch"], [s["document"]] * rows,
                                  [s["query"] + s["document"]] * rows))
  return _milliseconds(lambda: step().numpy())


def _print_costs(costs: dict[str, Any]) -> None:
  names = list(next(iter(costs["tables"].values())))
  print(f"{'least ms':24s}" + "".join(f"{name:>22s}" for name in names) + f"{'spared':>10s}")
  for table, parts in costs["tables"].items():
    print(f"{table:24s}" + "".join(
        f"{parts[name]['least']:22.2f}" if name in parts else f"{'':22s}" for name in names)
        + f"{costs['spared'][table]:10.2f}")
  for step, figures in costs["steps"].items():
    print(f"{step:24s}{figures['least']:12.1f} ms a step, least; "
          f"{figures['median']:.1f} median")


def _costs() -> dict[str, Any]:
  tables = {f"{hidden} wide, {tokens} tokens": {
      name: _milliseconds(part) for name, part in _parts(hidden, tokens).items()}
            for hidden in (128, 384, 768) for tokens in (512, 4096)}
  spared = {}
  for table, parts in tables.items():
    least = {name: part["least"] for name, part in parts.items()}
    spared[table] = round(least["added up"] + least["norm"] + least["update"] / 7
                          - least["by rows"], 3)
  steps = {f"{name}, {precision}": _step(name, precision)
           for name in _STEPS for precision in ("float32", "bfloat16")}
  return {"tables": tables, "spared": spared, "steps": steps}


def main(_) -> None:
  result: dict[str, Any] = {"processor": processor(), "words": _WORDS,
                            "repeats": _REPEATS.value}
  if _ONLY.value != "costs":
    result["kinds"] = {mode: _kinds(mode) for mode in ("off", "on")}
  if _ONLY.value != "kinds":
    result["costs"] = _costs()
    _print_costs(result["costs"])
  report(result, _JSON.value)


if __name__ == "__main__":
  app.run(main)
