"""A step of fine-tuning's reader: products in float32, and in bfloat16 (`precision="auto"`).

    python benchmarks/precision.py --json=benchmarks/results/precision.json

MiniLM's sizes and random weights; 24 pairs of 120 to 224 word pieces, as configs/wiki26k.py
reads them; loss of the span head, gradient and update. Both take turns. The floor of either
is its products alone, 6 operations for each weight of a layer and word piece, at the rate of
a product of that kind here (4,096 x 384 by 384 x 1,536). On a processor without bfloat16
products "auto" is float32 too: then both times are the same.
"""

from typing import Any, Callable

import realm_tf  # noqa: F401  # isort: skip -- before TensorFlow
import numpy as np
from absl import app, flags
from machine import in_turns, processor, report

_REPEATS = flags.DEFINE_integer("repeats", 9, "Of each.", lower_bound=3)
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")

_PAIRS, _LENGTH, _QUESTION = 24, 224, 12
_HIDDEN, _INNER, _LAYERS = 384, 1536, 6


def _step(precision: str) -> Callable[[], Any]:
  """Gradient and update of a new reader."""
  import tensorflow as tf

  from realm_tf.config import FinetuneConfig
  from realm_tf.models import dropout
  from realm_tf.models.bert import BertConfig
  from realm_tf.models.reader import Reader
  from realm_tf.text.inputs import Packed
  from realm_tf.training.optimizer import make_optimizer
  reader = Reader(BertConfig(30_522, _HIDDEN, _LAYERS, 12, _INNER), precision=precision)
  variables = reader.bert.trainable_variables + reader.span_head.trainable_variables
  optimizer = make_optimizer(
      FinetuneConfig(steps=1000, warmup_steps=10), [reader.bert]).build(variables)
  packed = Packed(*_tokens())

  @tf.function
  def step() -> tf.Tensor:
    with tf.GradientTape() as tape, dropout.drawn(0, optimizer.iterations):
      loss = tf.reduce_mean(tf.reduce_logsumexp(reader.span_logits(packed), [1, 2]))
    return optimizer.apply(tape.gradient(loss, variables), variables)

  return lambda: step().numpy()


def _tokens() -> list[Any]:
  import tensorflow as tf
  rng = np.random.default_rng(0)
  lengths = np.linspace(120, _LENGTH, _PAIRS).astype(np.int32)
  mask = np.arange(_LENGTH) < lengths[:, None]
  ids = rng.integers(1000, 30_000, [_PAIRS, _LENGTH]).astype(np.int32) * mask
  segments = (np.arange(_LENGTH) >= _QUESTION).astype(np.int32) * mask
  return [tf.constant(value) for value in (
      ids, mask, segments, np.full([_PAIRS], _QUESTION, np.int32))]


def _product(dtype: str) -> Callable[[], Any]:
  import tensorflow as tf
  left, right = (tf.cast(tf.random.normal(size), dtype)
                 for size in ([4096, _HIDDEN], [_HIDDEN, _INNER]))
  product = tf.function(lambda: tf.matmul(left, right))
  return lambda: product().numpy()


def main(_) -> None:
  import tensorflow as tf
  count = int(tf.reduce_sum(tf.cast(_tokens()[1], tf.int32)))
  weights = _LAYERS * (4 * _HIDDEN * _HIDDEN + 2 * _HIDDEN * _INNER)
  runs = {"float32": _step("float32"), "auto": _step("auto"),
          "product, float32": _product("float32"), "product, auto": _product("bfloat16")}
  taken = {name: 1e3 * np.array(values)
           for name, values in in_turns(runs, _REPEATS.value).items()}
  operations = 6 * weights * count / (2 * 4096 * _HIDDEN * _INNER)  # in products
  steps = {name: {
      "milliseconds": round(float(np.median(taken[name])), 1),
      "from, to": [round(float(edge), 1) for edge in (taken[name].min(), taken[name].max())],
      "floor": round(operations * float(np.median(taken[f"product, {name}"])), 1)}
           for name in ("float32", "auto")}
  report({"processor": processor(), "repeats": _REPEATS.value, "word pieces": count,
          "bfloat16 products": realm_tf.processor.multiplies_bfloat16(), **steps,
          "times as fast": round(float(np.median(taken["float32"] / taken["auto"])), 2)},
         _JSON.value)


if __name__ == "__main__":
  app.run(main)
