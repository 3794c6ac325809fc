"""The scores of spans: by our op, and in stock TensorFlow ops, each with its gradient.

    python benchmarks/span_scores.py --json=benchmarks/results/span_scores.json

Sizes are those of a step of `asked_own` of `ablation_rows.py` (288 pairs, a head of 64
units), of fine-tuning by configs/wiki26k.py (24 pairs, 256 units), and of one question with
ten blocks. Both ways take turns. The floor is reading the projected states once, and with the
gradient reading them twice and writing theirs, by the copies that NumPy makes here.
"""

import statistics
from typing import Any, Callable

import realm_tf  # noqa: F401  # isort: skip -- before TensorFlow
import numpy as np
from absl import app, flags
from machine import in_turns, processor, report

_REPEATS = flags.DEFINE_integer("repeats", 15, "Of each.", lower_bound=3)
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")

_SPANS = 10
# Pairs, tokens of each, units of the head.
_SIZES = {"pre-training": (288, 160, 64), "fine-tuning": (24, 224, 256),
          "a question": (10, 224, 256)}


def _functions(pairs: int, length: int, units: int) -> dict[str, Callable[[], Any]]:
  """Each way, forwards and with the gradient."""
  import tensorflow as tf

  from realm_tf.ops import transformer
  rng = np.random.default_rng(0)
  projected, weight = (tf.Variable(rng.normal(size=size), dtype=tf.float32)
                       for size in ([pairs, length, 2 * units], [units]))
  constant, place = tf.Variable(0.0), tf.range(length)
  allowed = tf.repeat(((place > length // 6) & (place < length - 8))[None], pairs, 0)
  functions: dict[str, Callable[[], Any]] = {}
  for name, way in (("op", transformer.Fused), ("stock", transformer.Portable)):
    def scores(way=way):
      return way.span_scores(projected, allowed, weight, constant, _SPANS, 1e-3)

    def gradient(scores=scores):
      with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.where(allowed[:, :, None], scores(), 0))
      return tape.gradient(total, [projected, weight, constant])

    functions |= {f"{name}, forwards": tf.function(scores),
                  f"{name}, with the gradient": tf.function(gradient)}
  states = projected.numpy()
  functions["floor, forwards"] = states.copy
  return functions


def _medians(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
  """Milliseconds."""
  return {name: round(1e3 * statistics.median(values), 2)
          for name, values in in_turns(functions, _REPEATS.value).items()}


def main(_) -> None:
  measured = {}
  for name, sizes in _SIZES.items():
    medians = _medians(_functions(*sizes))
    medians["floor, with the gradient"] = round(3 * medians["floor, forwards"], 2)
    measured[name] = {"milliseconds": medians, "times as fast": {
        way: round(medians[f"stock, {way}"] / medians[f"op, {way}"], 1)
        for way in ("forwards", "with the gradient")}}
  report({"processor": processor(), "repeats": _REPEATS.value, **measured}, _JSON.value)


if __name__ == "__main__":
  app.run(main)
