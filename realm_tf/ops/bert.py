"""A whole BERT in one op, by weights that were packed once: for inference on CPUs.

The op does what `models.bert.Bert` does on rows without padding, without a gradient. Packing
takes longer than a question does, so it is done when a model is exported, and the export has
the packed weights. Shape letters: B sequences, T tokens, L layers, H hidden, F width between
the two products of a feed-forward layer, [K, M] a kernel.
"""

import contextlib
from typing import Iterator, Mapping, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.ops import library
from realm_tf.ops.library import ops
from realm_tf.ops.rounding import rounded, rounded_for

PRECISIONS = ("float32", "int8")
_PANEL = 16  # columns, as in ops/transformer/packed_products.h


class LayerWeights(NamedTuple):
  """Of a layer, or stacked of L: kernels first, then vectors, in the order of the op."""
  qkv: np.ndarray  # [H, 3 H]
  attention_output: np.ndarray  # [H, H]
  inner: np.ndarray  # [H, F]
  output: np.ndarray  # [F, H]
  vectors: Sequence[np.ndarray]  # eight


class PackedBert(tf.Module):
  """The weights of a BERT, packed, and the op that computes by them.

  Args:
    embeddings: [.., H] of words, positions and segments.
    embedding_norm: gamma and beta, [H].
    layers: their weights.
    heads, activation, epsilon: see `ops.transformer`.
    precision: "float32", or "int8": kernels are rounded to eight bits, each column by a scale
      of its own, and rows to sixteen when they are multiplied; four times less to read.
    grams: of the rows that the four kernels of each layer multiply, [L, K, K] each: eight
      bits are chosen so that products with those stay as they are (`ops.rounding`).
  """

  def __init__(self, embeddings: Sequence[np.ndarray], embedding_norm: Sequence[np.ndarray],
               layers: Sequence[LayerWeights], heads: int, activation: str, epsilon: float,
               precision: str = "float32", grams: Sequence[np.ndarray] = ()):
    super().__init__(name="packed_bert")
    # Copies: a variable that was ever gathered from is copied whenever it is read.
    self._embeddings, self._embedding_norm = (
        [_frozen(values, "embeddings") for values in part]
        for part in (embeddings, embedding_norm))
    self._attributes = dict(heads=heads, activation=activation, epsilon=epsilon)
    self._kernels, self._scales = [], []
    for number, part in enumerate(zip(*(layer[:4] for layer in layers), strict=True)):
      kernel = np.stack(part)
      if precision == "int8":
        kernel, scales = (rounded_for(kernel, grams[number]) if len(grams)
                          else rounded(kernel))
        self._scales.append(_frozen(_padded(scales, 1, _PANEL), "scales"))
      self._kernels.append(_frozen(packed(kernel), "kernel"))
    self._vectors = [_frozen(np.stack(part), "vectors")
                     for part in zip(*(layer.vectors for layer in layers), strict=True)]

  def __call__(self, ids: tf.Tensor, padding_mask: tf.Tensor, segments: tf.Tensor
               ) -> tf.Tensor:
    """[B, T] -> [B, T, H] float32, 0 on padding; see `models.bert.Bert`."""
    return ops.realm_bert(
        ids=ids, mask=padding_mask, segments=segments, embeddings=self._embeddings,
        embedding_norm=self._embedding_norm, kernels=self._kernels, scales=self._scales,
        vectors=self._vectors, **self._attributes)


def packed(kernels: np.ndarray) -> np.ndarray:
  """[L, K, M] -> panels of 16 columns, as the op wants them; see `Realm>Bert`."""
  kernels = _padded(kernels, 2, _PANEL)
  if kernels.dtype == np.int8:
    kernels = _padded(kernels, 1, 2)
    layers, depth, width = kernels.shape
    pairs = kernels.reshape([layers, depth // 2, 2, width // _PANEL, _PANEL])
    return np.ascontiguousarray(pairs.transpose([0, 3, 1, 4, 2]))
  layers, depth, width = kernels.shape
  return np.ascontiguousarray(
      kernels.reshape([layers, depth, width // _PANEL, _PANEL]).transpose([0, 2, 1, 3]))


def _padded(values: np.ndarray, axis: int, multiple: int) -> np.ndarray:
  widths = [(0, 0)] * values.ndim
  widths[axis] = (0, -values.shape[axis] % multiple)
  return np.pad(values, widths)


def _frozen(values: np.ndarray, name: str) -> tf.Variable:
  with tf.device("CPU"):
    return tf.Variable(values, trainable=False, name=name)


_packed: dict[int, PackedBert] = {}


@contextlib.contextmanager
def computing(packed_berts: Mapping[int, PackedBert]) -> Iterator[None]:
  """BERTs that are traced inside compute by what was packed of them: by the id of each."""
  before = dict(_packed)
  _packed.update(packed_berts)
  try:
    yield
  finally:
    _packed.clear()
    _packed.update(before)


def packed_of(bert: object) -> PackedBert | None:
  """What was packed of it, where it computes by that now."""
  return _packed.get(id(bert)) if library.can_compute(tf.float32) else None
