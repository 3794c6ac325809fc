"""What a transformer layer does between its products with weights, in two ways.

`Fused` calls our ops, on CPUs: each reads and writes memory once, and rows are packed, the
tokens of all sequences after each other without any padding. `Portable` is the same in
stock TensorFlow ops, on padded rows: for `portable()`, GPUs and float64. Both
compute in float32 (or wider), whatever the dtype of the rows.

Shape letters: B sequences, T tokens of a padded sequence, U rows, H hidden, F width of a
row, A attention heads.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.ops import compiling, library
from realm_tf.ops.library import ops

_ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
                "relu": "relu"}


def activation_name(name: str) -> str:
  """Of a BERT's `hidden_act`: "gelu" (x Phi(x)), "gelu_tanh" or "relu"."""
  if name not in _ACTIVATIONS:
    raise UserError(f"hidden_act: expected one of {', '.join(_ACTIVATIONS)}, got '{name}'")
  return _ACTIVATIONS[name]


def choose_kernels(dtype: tf.DType) -> "type[Fused] | type[Portable]":
  """The faster of the two that can compute on rows of that dtype here."""
  # Where `Fused` can there is no GPU, and so no size matters to what XLA compiles.
  return Fused if library.can_compute(dtype) and not compiling.compiles() else Portable


class Layout(NamedTuple):
  """Where the rows of a batch come from.

  Attributes:
    mask: [B, T] bool, False on padding.
    places: [U] int64, of each row among B * T; None where there is a row for each.
    splits: [B + 1] int32, where each sequence begins; None likewise.
  """
  mask: tf.Tensor
  places: tf.Tensor | None = None
  splits: tf.Tensor | None = None

  def pack(self, values: tf.Tensor) -> tf.Tensor:
    """[B, T, ...] -> [U, ...]."""
    flat = tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
    return flat if self.places is None else tf.gather(flat, self.places)

  def unpack(self, rows: tf.Tensor) -> tf.Tensor:
    """[U, F] -> [B, T, F], with zeros or anything on padding."""
    batch, length = _sizes(self.mask)
    width = rows.shape[-1]
    if self.places is not None:
      rows = tf.scatter_nd(self.places[:, None], rows,
                           tf.cast([batch * length, width], tf.int64))
    return tf.reshape(rows, [batch, length, width])


@tf.custom_gradient
def _product(x: tf.Tensor, kernel: tf.Tensor):
  rounded = tf.cast(kernel, x.dtype)

  def gradient(dy: tf.Tensor):
    return tf.matmul(dy, rounded, transpose_b=True), _kernel_gradient(x, dy, kernel.dtype)

  return tf.matmul(x, rounded), gradient


def _kernel_gradient(x: tf.Tensor, dy: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
  # The narrower of the two is turned, which in bfloat16 is the faster product.
  if x.dtype == tf.bfloat16 and dy.shape[1] > x.shape[1]:
    return tf.cast(tf.transpose(tf.matmul(dy, x, transpose_a=True)), dtype)
  return tf.cast(tf.matmul(x, dy, transpose_a=True), dtype)


def _feed_forward(activation: str):
  """What is between the products is the widest of a layer: it is not kept, but made again."""
  @tf.custom_gradient
  def run(x: tf.Tensor, inner: tf.Tensor, bias: tf.Tensor, outer: tf.Tensor):
    into, out_of = tf.cast(inner, x.dtype), tf.cast(outer, x.dtype)
    wide = tf.matmul(x, into)

    def gradient(dy: tf.Tensor):
      dwide, active, dbias = ops.realm_bias_activation_grad(
          x=wide, bias=bias, dy=tf.matmul(dy, out_of, transpose_b=True),
          activation=activation)
      return (tf.matmul(dwide, into, transpose_b=True),
              _kernel_gradient(x, dwide, inner.dtype), dbias,
              _kernel_gradient(active, dy, outer.dtype))

    active = ops.realm_bias_activation(x=wide, bias=bias, activation=activation)
    return tf.matmul(active, out_of), gradient

  return run


class Fused:
  """By our ops; rows [U, F] are float32 or bfloat16, the rest is float32."""

  @staticmethod
  def layout(mask: tf.Tensor) -> Layout:
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    return Layout(mask, tf.where(tf.reshape(mask, [-1]))[:, 0],
                  tf.concat([[0], tf.cumsum(lengths)], 0))

  @staticmethod
  def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Rows times a kernel, in the dtype of the rows: [U, F], [F, M] -> [U, M]."""
    return _product(x, tf.convert_to_tensor(kernel))

  @staticmethod
  def attention(qkv: tf.Tensor, bias: tf.Tensor, layout: Layout, heads: int) -> tf.Tensor:
    """softmax(Q K' / sqrt(H / A)) V within each sequence: [U, 3 H], [3 H] -> [U, H]."""
    return ops.realm_packed_attention(qkv=qkv, bias=bias, splits=layout.splits,
                                      heads=heads).context

  @staticmethod
  def feed_forward(x: tf.Tensor, inner: tf.Tensor, bias: tf.Tensor, outer: tf.Tensor,
                   activation: str) -> tf.Tensor:
    """activation(x inner + bias) outer: [U, H], [H, F], [F], [F, H] -> [U, H]."""
    return _feed_forward(activation)(x, *map(tf.convert_to_tensor, (inner, bias, outer)))

  @staticmethod
  def norm(x: tf.Tensor, delta: tf.Tensor, bias: tf.Tensor, gamma: tf.Tensor,
           beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Layer normalisation of x + delta + bias: [U, F], [U, F], [F], ... -> [U, F]."""
    return ops.realm_residual_norm(x=x, delta=delta, bias=bias, gamma=gamma, beta=beta,
                                   epsilon=epsilon).y

  @staticmethod
  def span_scores(projected: tf.Tensor, allowed: tf.Tensor, weight: tf.Tensor,
                  constant: tf.Tensor, spans: int, epsilon: float) -> tf.Tensor:
    """norm(relu(start + end))' weight + constant, of spans of up to L tokens, as ORQA's
    (Lee et al. 2019, section 3.2); the norm has no scale and no shift.

    Args:
      projected: [B, T, 2 F] float32, of each token as a start, and as an end.
      allowed: [B, T] bool, the tokens that a span may begin and end with.
      weight: [F] float32.
      constant: float32.
      spans: L.
      epsilon: of the norm.

    Returns:
      [B, T, L] float32, of the span from token t to t + l; minus infinity where none is.
    """
    return ops.realm_span_scores(projected=projected, allowed=allowed, weight=weight,
                                 constant=constant, spans=spans, epsilon=epsilon)


@tf.RegisterGradient("Realm>PackedAttention")
def _attention_gradient(op: tf.Operation, dcontext: tf.Tensor, _) -> list:
  return [*ops.realm_packed_attention_grad(
      *op.inputs, *op.outputs, dcontext, heads=op.get_attr("heads")), None]


@tf.RegisterGradient("Realm>ResidualNorm")
def _norm_gradient(op: tf.Operation, dy: tf.Tensor, *_) -> list:
  x, delta, bias, gamma, _ = op.inputs
  _, mean, scale = op.outputs
  dsum, *others = ops.realm_residual_norm_grad(
      x=x, delta=delta, bias=bias, gamma=gamma, mean=mean, scale=scale, dy=dy)
  return [dsum, dsum, *others]


@tf.RegisterGradient("Realm>SpanScores")
def _span_gradient(op: tf.Operation, dscores: tf.Tensor) -> list:
  dprojected, *others = ops.realm_span_scores_grad(
      *op.inputs, dscores, spans=op.get_attr("spans"), epsilon=op.get_attr("epsilon"))
  return [dprojected, None, *others]


class Portable:
  """In stock TensorFlow ops; rows are padded, U = B * T, of any float type, which is that of
  what comes out. See `Fused` for what its functions of the same names compute."""

  @staticmethod
  def layout(mask: tf.Tensor) -> Layout:
    """[B, T] bool: a row for each of B * T."""
    return Layout(mask)

  @staticmethod
  def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[U, F], [F, M] -> [U, M]."""
    return tf.matmul(x, tf.cast(kernel, x.dtype))

  @staticmethod
  def attention(qkv: tf.Tensor, bias: tf.Tensor, layout: Layout, heads: int) -> tf.Tensor:
    """[U, 3 H], [3 H] -> [U, H]."""
    (batch, length), hidden = _sizes(layout.mask), qkv.shape[-1] // 3
    qkv = tf.reshape(qkv + tf.cast(bias, qkv.dtype),
                     [batch, length, 3, heads, hidden // heads])
    query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))  # [B, A, T, H / A]
    mixed = Portable.attend(query, key, value, layout.mask)
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * length, hidden])

  @staticmethod
  def attention_of_first(query: tf.Tensor, query_bias: tf.Tensor, rows: tf.Tensor,
                         bias: tf.Tensor, layout: Layout, heads: int) -> tf.Tensor:
    """Of first tokens with all: queries [B, H] and their bias [H], keys and values
    [B * T, 2 H] and theirs [2 H] -> [B, H]."""
    query = tf.reshape(query + tf.cast(query_bias, query.dtype),
                       [-1, heads, 1, query.shape[-1] // heads])
    rows = layout.unpack(rows + tf.cast(bias, rows.dtype))
    key, value = (tf.transpose(tf.reshape(part, [*_sizes(part)[:2], heads, query.shape[-1]]),
                               [0, 2, 1, 3]) for part in tf.split(rows, 2, 2))
    mixed = Portable.attend(query, key, value, layout.mask)  # [B, A, 1, H / A]
    return tf.reshape(mixed, [-1, heads * query.shape[-1]])

  @staticmethod
  def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor
             ) -> tf.Tensor:
    """[B, A, T, H / A] each, and [B, T] bool -> [B, A, T, H / A]."""
    query *= tf.cast(query.shape[-1] ** -0.5, query.dtype)
    scores = _widened(tf.matmul(query, key, transpose_b=True))  # [B, A, T, T]
    scores += tf.where(mask, tf.zeros([], scores.dtype), scores.dtype.min)[:, None, None, :]
    return tf.matmul(tf.cast(tf.nn.softmax(scores), value.dtype), value)

  @classmethod
  def feed_forward(cls, x: tf.Tensor, inner: tf.Tensor, bias: tf.Tensor, outer: tf.Tensor,
                   activation: str) -> tf.Tensor:
    """[U, H], [H, F], [F], [F, H] -> [U, H]."""
    return cls.product(cls.activation(cls.product(x, inner), bias, activation), outer)

  @staticmethod
  def activation(x: tf.Tensor, bias: tf.Tensor, name: str) -> tf.Tensor:
    """The activation of x + bias: [U, F], [F] -> [U, F]."""
    wide = _widened(x) + bias
    y = tf.nn.relu(wide) if name == "relu" else tf.nn.gelu(wide, name == "gelu_tanh")
    return tf.cast(y, x.dtype)

  @staticmethod
  def norm(x: tf.Tensor, delta: tf.Tensor, bias: tf.Tensor, gamma: tf.Tensor,
           beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """[U, F], [U, F], [F], [F], [F] -> [U, F]."""
    return tf.cast(normalised(_widened(x) + _widened(delta) + bias, gamma, beta, epsilon),
                   x.dtype)

  @staticmethod
  def span_scores(projected: tf.Tensor, allowed: tf.Tensor, weight: tf.Tensor,
                  constant: tf.Tensor, spans: int, epsilon: float) -> tf.Tensor:
    """[B, T, 2 F], [B, T] bool, [F], scalar -> [B, T, L]; float32 or wider."""
    starts, ends = tf.split(projected, 2, axis=-1)  # [B, T, F]
    length, size = tf.shape(projected)[1], tf.cast(tf.size(weight), projected.dtype)
    ends = tf.pad(ends, [[0, 0], [0, spans], [0, 0]])
    allowed_ends = tf.pad(allowed, [[0, 0], [0, spans]])
    valid = tf.stack([allowed & allowed_ends[:, w:w + length] for w in range(spans)], 2)
    total, along = tf.reduce_sum(weight), tf.stack([tf.ones_like(weight) / size, weight], 1)

    def scores(x: tf.Tensor) -> tf.Tensor:  # [B, T, F] -> [B, T]
      mean, product = tf.unstack(tf.matmul(x, along), axis=-1)
      variance = tf.reduce_mean(tf.square(x), -1) - tf.square(mean)
      return (product - mean * total) * tf.math.rsqrt(tf.maximum(variance, 0) + epsilon)

    every = tf.stack([scores(tf.nn.relu(starts + ends[:, w:w + length]))
                      for w in range(spans)], 2)
    return tf.where(valid, every + constant, -float("inf"))


def normalised(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
  """Layer normalisation (Ba et al. 2016, arXiv 1607.06450) over the last axis: [..., F], [F],
  [F] -> [..., F], of one float type."""
  centred = x - tf.reduce_mean(x, -1, keepdims=True)
  variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
  return centred * (tf.math.rsqrt(variance + epsilon) * gamma) + beta


def _sizes(values: tf.Tensor) -> list[int | tf.Tensor]:
  """Its shape; numbers where the graph knows them, for what XLA must know."""
  sizes = tf.shape(values)
  return [sizes[axis] if size is None else size for axis, size in enumerate(values.shape)]


def _widened(x: tf.Tensor) -> tf.Tensor:
  return tf.cast(x, tf.float32) if x.dtype == tf.bfloat16 else x
