"""Attention within sequences: by our op, and in stock TensorFlow ops, each with its gradient.

    python benchmarks/attention.py --json=benchmarks/results/attention.json

Heads are those of BERT-tiny, MiniLM and BERT-base; sequences are of half the given length up
to all of it, and only stock ops compute on what is padding. Both ways take turns. The floor
is the products of the lengths as they are, at the rate of one large product by TensorFlow in
the same process; `rate` is that of the op's products, in GFLOP/s.
"""

import functools
import statistics
from typing import Any, Callable

import realm_tf  # noqa: F401  # isort: skip -- before TensorFlow
import numpy as np
from absl import app, flags
from machine import in_turns, processor, report

_REPEATS = flags.DEFINE_integer("repeats", 15, "Of each.", lower_bound=3)
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")

# Heads, units of each, longest sequence, sequences.
_SIZES = {"BERT-tiny": (2, 64, 128, 128), "MiniLM": (12, 32, 224, 32),
          "BERT-base": (12, 64, 288, 16)}
_PRODUCT = (4096, 1536, 512)
# Of a pair of tokens, for each unit: scores and mixing; the gradient makes the scores again
# and has two products for each of the two.
_FORWARDS, _GRADIENT = 4, 10


def _functions(heads: int, units: int, lengths: np.ndarray) -> dict[str, Callable[[], Any]]:
  """Each way, forwards and with the gradient, and one large product."""
  import tensorflow as tf

  from realm_tf.ops import transformer
  hidden, (rows, depth, columns) = heads * units, _PRODUCT
  mask, bias = tf.sequence_mask(lengths), tf.zeros([3 * hidden])
  left, right = tf.random.normal([rows, depth]), tf.random.normal([depth, columns])
  functions: dict[str, Callable[[], Any]] = {
      "product": tf.function(lambda: tf.matmul(left, right))}
  for name, way in (("op", transformer.Fused), ("stock", transformer.Portable)):
    layout = way.layout(mask)
    qkv = layout.pack(tf.random.stateless_normal([*mask.shape, 3 * hidden], [0, 0]))

    def attend(qkv, way=way, layout=layout):
      return way.attention(qkv, bias, layout, heads)

    def gradient(qkv, attend=attend):
      with tf.GradientTape() as tape:
        tape.watch(qkv)
        context = attend(qkv)
      return tape.gradient(context, qkv)

    functions |= {f"{name}, {kind}": functools.partial(tf.function(function), qkv)
                  for kind, function in (("forwards", attend),
                                         ("with the gradient", gradient))}
  return functions


def _measured(heads: int, units: int, longest: int, sequences: int) -> dict[str, Any]:
  lengths = np.random.default_rng(0).integers(longest // 2, longest + 1, sequences)
  seconds = {name: statistics.median(values) for name, values in in_turns(
      _functions(heads, units, lengths), _REPEATS.value).items()}
  product_rate = 2 * np.prod(_PRODUCT, dtype=np.float64) / seconds["product"]
  pairs = float((lengths.astype(np.float64) ** 2).sum()) * heads * units
  result = {}
  for way, of_pair in (("forwards", _FORWARDS), ("with the gradient", _FORWARDS + _GRADIENT)):
    op, stock = seconds[f"op, {way}"], seconds[f"stock, {way}"]
    result[way] = {
        "op": round(1e3 * op, 2), "stock": round(1e3 * stock, 2),
        "floor": round(1e3 * of_pair * pairs / product_rate, 2),
        "times as fast": round(stock / op, 1), "rate": round(of_pair * pairs / op / 1e9, 1)}
  return result


def main(_) -> None:
  report({"processor": processor(), "repeats": _REPEATS.value, "milliseconds": {
      name: _measured(*sizes) for name, sizes in _SIZES.items()}}, _JSON.value)


if __name__ == "__main__":
  app.run(main)
