"""What a layer of a BERT computes, as a function of its weights; see `ops.transformer`.

Shape letters: B sequences, T tokens, U rows, H hidden, F width between the two products of a
feed-forward layer.
"""

from typing import NamedTuple, TypeAlias

import tensorflow as tf

from realm_tf.models import dropout
from realm_tf.ops import transformer

Weight: TypeAlias = tf.Tensor | tf.Variable


class LayerKind(NamedTuple):
  """What layers have in common that compute the same of other weights."""
  heads: int
  activation: str  # see `transformer.activation_name`
  epsilon: float  # of both norms
  rate: float  # of dropout, of what each sublayer adds


class Added(NamedTuple):
  """The weights by which a sublayer's result is added and normalised."""
  kernel: Weight  # [H, H] or [F, H]
  bias: Weight  # [H]
  gamma: Weight  # [H]
  beta: Weight  # [H]


class LayerTensors(NamedTuple):
  """The weights of a layer."""
  qkv_kernels: tuple[Weight, Weight, Weight]  # [H, H] each
  qkv_biases: tuple[Weight, Weight, Weight]  # [H] each
  attention: Added
  inner: Weight  # [H, F]
  inner_bias: Weight  # [F]
  output: Added


def transformer_layer(kernels, kind: LayerKind, x: tf.Tensor, layout: transformer.Layout,
                      weights: LayerTensors, seeds: tf.Tensor | None = None) -> tf.Tensor:
  """Post-norm self-attention and feed-forward: [U, H] -> [U, H].

  Args:
    kernels: `transformer.Fused`, `Portable`, or what does the same.
    kind: of the layer.
    x: of the dtype in which products with weights are made.
    layout: of the rows.
    weights: of the layer.
    seeds: [2, 2] int32, of its dropout, where there is any.
  """
  return _transformed(kernels, kind, x, mixed(kernels, kind, x, layout, weights), weights,
                      seeds)


def first_tokens(kernels, kind: LayerKind, x: tf.Tensor, layout: transformer.Layout,
                 weights: LayerTensors, seeds: tf.Tensor | None = None) -> tf.Tensor:
  """Of what `transformer_layer` gives, the rows of first tokens alone: [B, H].

  Of the others keys and values are made and nothing else. Rows must be padded.
  """
  first = layout.unpack(x)[:, 0]
  (query, *kernels_of_all), (query_bias, *biases_of_all) = (weights.qkv_kernels,
                                                            weights.qkv_biases)
  context = kernels.attention_of_first(
      kernels.product(first, query), query_bias,
      kernels.product(x, tf.concat(kernels_of_all, 1)), tf.concat(biases_of_all, 0), layout,
      kind.heads)
  return _transformed(kernels, kind, first, context, weights, seeds)


def _transformed(kernels, kind: LayerKind, x: tf.Tensor, context: tf.Tensor,
                 weights: LayerTensors, seeds: tf.Tensor | None) -> tf.Tensor:
  x = attended(kernels, kind, x, context, weights, seeds)
  output = weights.output
  delta = kernels.feed_forward(x, weights.inner, weights.inner_bias, output.kernel,
                               kind.activation)
  return _added(kernels, kind, x, delta, output, seeds, 1)


def mixed(kernels, kind: LayerKind, x: tf.Tensor, layout: transformer.Layout,
          weights: LayerTensors) -> tf.Tensor:
  """What attention mixes of all tokens: [U, H] -> [U, H]."""
  qkv = kernels.product(x, tf.concat(weights.qkv_kernels, 1))  # one instead of three
  return kernels.attention(qkv, tf.concat(weights.qkv_biases, 0), layout, kind.heads)


def attended(kernels, kind: LayerKind, x: tf.Tensor, context: tf.Tensor,
             weights: LayerTensors, seeds: tf.Tensor | None = None) -> tf.Tensor:
  """What goes into the feed-forward sublayer: [U, H], and what is `mixed` of it -> [U, H]."""
  return _added(kernels, kind, x, kernels.product(context, weights.attention.kernel),
                weights.attention, seeds, 0)


def _added(kernels, kind: LayerKind, x: tf.Tensor, delta: tf.Tensor, added: Added,
           seeds: tf.Tensor | None, place: int) -> tf.Tensor:
  bias = added.bias
  if seeds is not None:  # the bias is dropped too, and so is added before
    delta = dropout.dropped(delta + tf.cast(bias, delta.dtype), kind.rate, seeds[place])
    bias = tf.zeros_like(bias)
  return kernels.norm(x, delta, bias, added.gamma, added.beta, kind.epsilon)
