"""What the kernels of a BERT multiply, summed up: by it they are rounded to eight bits.

Shape letters: B sequences, T tokens, L layers, H hidden, F width between the two products of
a feed-forward layer.
"""

from typing import Iterable

import numpy as np
import tensorflow as tf

from realm_tf.models.bert import Bert, TransformerLayer
from realm_tf.models.layer import attended, mixed
from realm_tf.ops import portable, transformer

Rows = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # ids, padding mask and segments, [B, T]


def gram_matrices(bert: Bert, batches: Iterable[Rows]) -> list[np.ndarray]:
  """X' X of the rows that each of the four products of a layer multiplies, padding left out.

  Returns:
    In the order of `ops.bert.LayerWeights`: three [L, H, H] and [L, F, F], float32.
  """
  sizes = [bert.config.hidden_size] * 3 + [bert.config.intermediate_size]
  grams = [np.zeros([len(bert.layers), size, size], np.float32) for size in sizes]
  with portable():
    for ids, padding_mask, segments in batches:
      is_token = tf.reshape(padding_mask, [-1])
      layout = transformer.Portable.layout(padding_mask)
      x = bert.embedded(ids, segments, layout, tf.float32)
      for number, layer in enumerate(bert.layers):
        for gram, multiplied in zip(grams, _multiplied(layer, x, layout), strict=True):
          tokens = tf.boolean_mask(multiplied, is_token)
          gram[number] += tf.matmul(tokens, tokens, transpose_a=True).numpy()
        x = layer(x, layout)
  return grams


def _multiplied(layer: TransformerLayer, x: tf.Tensor, layout: transformer.Layout
                ) -> list[tf.Tensor]:
  kernels, kind, weights = transformer.Portable, layer.kind, layer.tensors()
  context = mixed(kernels, kind, x, layout, weights)
  middle = attended(kernels, kind, x, context, weights)
  return [x, context, middle, kernels.activation(
      kernels.product(middle, weights.inner), weights.inner_bias, kind.activation)]
