"""A layer of a BERT that XLA compiles: once for all layers of a kind, and for each shape.

So compiling takes a layer's time and not a model's. A layer's weights are arguments. For the
gradient the results of products, of attention and of the first norm are kept, in the dtype of
the rows; what is between them is computed again, within the kernels that need it.

Shape letters: B sequences, T tokens, U = B * T rows, H hidden, F width between the two
products of a feed-forward layer.
"""

import functools
from typing import Any, Iterable, NamedTuple, Sequence

import tensorflow as tf
from tensorflow.python.eager import record

from realm_tf.models.layer import LayerKind, LayerTensors, first_tokens, transformer_layer
from realm_tf.ops.transformer import Layout, Portable


class _Keeping:
  """`Portable`, whose results are kept; or are replaced by those that were kept earlier."""

  def __init__(self, earlier: Iterable[tf.Tensor] = ()):
    self._earlier, self.kept = iter(earlier), list[tf.Tensor]()

  def _keep(self, value: tf.Tensor) -> tf.Tensor:
    earlier = next(self._earlier, None)
    self.kept.append(value if earlier is None else _replaced(value, earlier))
    return self.kept[-1]

  def product(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return self._keep(Portable.product(x, kernel))

  def attention(self, *arguments: Any) -> tf.Tensor:
    return self._keep(Portable.attention(*arguments))

  def attention_of_first(self, *arguments: Any) -> tf.Tensor:
    return self._keep(Portable.attention_of_first(*arguments))

  def feed_forward(self, x: tf.Tensor, inner: tf.Tensor, bias: tf.Tensor, outer: tf.Tensor,
                   activation: str) -> tf.Tensor:
    wide = self.product(x, inner)
    return self.product(Portable.activation(wide, bias, activation), outer)

  def norm(self, *arguments: Any) -> tf.Tensor:
    return self._keep(Portable.norm(*arguments))


@tf.custom_gradient
def _replaced(value: tf.Tensor, earlier: tf.Tensor):
  """What was kept, with the gradient of `value`, which nobody computes then."""
  del value
  return earlier, lambda upstream: (upstream, None)


class _Compiled(NamedTuple):
  """`infer` gives a layer's result, `learn` what was kept too, `differentiate` gradients."""
  infer: Any
  learn: Any
  differentiate: Any


@functools.cache
def _compiled(kind: LayerKind, dtype: tf.DType, weights: LayerTensors, drops: bool,
              keeps: bool, first: bool) -> _Compiled:
  """Of the specs of the weights; XLA sees B and T when it runs."""
  hidden, inner = weights.inner.shape
  rows = tf.TensorSpec([None, hidden], dtype)
  seeds = [tf.TensorSpec([2, 2], tf.int32)] if drops else []
  inputs = [rows, tf.TensorSpec([None, None], tf.bool), seeds, weights]
  # What comes of query, key and value, attention, its output, the first norm and the two
  # products of the feed-forward layer.
  kept = [*([hidden, 2 * hidden] if first else [3 * hidden]),
          hidden, hidden, hidden, inner, hidden]
  kept_specs = [tf.TensorSpec([None, width], dtype) for width in kept] if keeps else []
  run_layer = first_tokens if first else transformer_layer

  def compute(kernels, x, mask, seeds, weights):
    return run_layer(kernels, kind, x, Layout(mask), weights, *seeds)

  def infer(*inputs):
    return compute(Portable, *inputs)

  def learn(*inputs):
    keeping = _Keeping()
    y = compute(keeping, *inputs)
    return y, keeping.kept[:len(kept_specs)]  # not the last norm's, which is y

  def differentiate(x, mask, seeds, weights, kept, upstream):
    with tf.GradientTape() as tape:
      tape.watch([x, weights])
      y = compute(_Keeping(kept), x, mask, seeds, weights)
    return tape.gradient(y, [x, weights], upstream)

  return _Compiled(*(tf.function(run, jit_compile=True, autograph=False,
                                 input_signature=signature)
                     for run, signature in ((infer, inputs), (learn, inputs), (
                         differentiate, [*inputs, kept_specs, rows]))))


@functools.cache
def _embedding(dtype: tf.DType, epsilon: float, hidden: int):
  """Forward, and backward from the same inputs, of tables of one width."""
  def embed(words, positions, types, type_table, gamma, beta):
    others = positions + tf.tensordot(types, type_table, 1)
    rows = Portable.norm(tf.cast(words, dtype), tf.cast(others, dtype), tf.zeros_like(beta),
                         gamma, beta, epsilon)
    return tf.reshape(rows, [-1, hidden])

  def differentiate(inputs, upstream):
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      rows = embed(*inputs)
    return tape.gradient(rows, inputs, upstream)

  return [tf.function(run, jit_compile=True, autograph=False, reduce_retracing=True)
          for run in (embed, differentiate)]


def compiled_embeddings(ids: tf.Tensor, segments: tf.Tensor, tables: Sequence[tf.Tensor],
                        norm: Any, dtype: tf.DType) -> tf.Tensor:
  """What goes into the first layer, [B * T, H], of [B, T] int32 both.

  Args:
    ids, segments: of the tokens.
    tables: of words, positions and segments, [.., H] each.
    norm: a `models.bert.Norm`.
    dtype: of the rows.
  """
  words, positions, types = tables
  embed, differentiate = _embedding(dtype, norm.epsilon, words.shape[1])

  @tf.custom_gradient
  def run(*inputs: tf.Tensor):
    return embed(*inputs), lambda upstream: differentiate(inputs, upstream)

  # Words are looked up outside, so that their gradient is one of the rows that are used.
  return run(tf.gather(words, ids), positions[:tf.shape(ids)[1]],
             tf.one_hot(segments, types.shape[0], dtype=types.dtype),
             *map(tf.convert_to_tensor, (types, norm.gamma, norm.beta)))


def compiled_layer(kind: LayerKind, x: tf.Tensor, mask: tf.Tensor, weights: LayerTensors,
                   seeds: tf.Tensor | None = None, recompute: bool = False,
                   first: bool = False) -> tf.Tensor:
  """As `transformer_layer`: [U, H], and mask [B, T] -> [U, H]; or as `first_tokens`.

  With `recompute` nothing is kept for the gradient but x.
  """
  weights = tf.nest.map_structure(tf.convert_to_tensor, weights)
  specs = tf.nest.map_structure(lambda w: tf.TensorSpec(w.shape, w.dtype), weights)
  compiled = _compiled(kind, x.dtype, specs, seeds is not None, not recompute, first)
  some_seeds = [] if seeds is None else [seeds]
  keeps = not recompute and record.could_possibly_record()

  @tf.custom_gradient
  def run(x: tf.Tensor, *flat: tf.Tensor):
    weights = tf.nest.pack_sequence_as(specs, flat)
    y, kept = (compiled.learn(x, mask, some_seeds, weights) if keeps
               else (compiled.infer(x, mask, some_seeds, weights), []))

    def gradient(upstream: tf.Tensor):
      dx, dweights = compiled.differentiate(x, mask, some_seeds, weights, kept, upstream)
      return dx, *tf.nest.flatten(dweights)

    return y, gradient

  y = run(x, *tf.nest.flatten(weights))
  y.set_shape([mask.shape[0] if first else x.shape[0], x.shape[1]])
  return y
