"""BERT (Devlin et al. 2019, arXiv 1810.04805), with dynamic lengths.

Shape letters: B batch, T tokens, H hidden, A attention heads, F feed-forward.
"""

import dataclasses
import pathlib
from typing import Any, Callable

import tensorflow as tf
import tf_keras

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike


@dataclasses.dataclass(frozen=True)
class BertConfig:
  """Sizes of a BERT, named as in Hugging Face's `config.json`."""
  vocab_size: int
  hidden_size: int
  num_hidden_layers: int
  num_attention_heads: int
  intermediate_size: int
  max_position_embeddings: int = 512
  type_vocab_size: int = 2
  layer_norm_eps: float = 1e-12
  hidden_act: str = "gelu"  # "gelu" (erf), "gelu_new" (tanh) or "relu"

  @classmethod
  def from_folder(cls, folder: PathLike, num_layers: int = 0) -> "BertConfig":
    """Reads `config.json`; `num_layers` > 0 keeps only the first layers."""
    path = pathlib.Path(folder) / "config.json"
    config = cls.from_values(files.read_json(path), str(path))
    if num_layers > config.num_hidden_layers:
      raise UserError(f"{path}: {num_layers} layers asked for, the weights have "
                      f"{config.num_hidden_layers}")
    return dataclasses.replace(
        config, num_hidden_layers=num_layers or config.num_hidden_layers)

  @classmethod
  def from_values(cls, values: dict[str, Any], where: str) -> "BertConfig":
    """The sizes among the fields of a `config.json`; `where` is told in errors."""
    for field in dataclasses.fields(cls):
      if field.default is dataclasses.MISSING and field.name not in values:
        raise UserError(f"{where}: field '{field.name}' is missing")
    positions = values.get("position_embedding_type", "absolute")
    if positions != "absolute":
      raise UserError(f"{where}: field 'position_embedding_type': expected absolute, as "
                      f"in BERT, got '{positions}'")
    if not values.get("tie_word_embeddings", True):
      raise UserError(f"{where}: field 'tie_word_embeddings': expected true: the masked-LM "
                      "head is tied to the word embeddings, as in BERT")
    known = {field.name for field in dataclasses.fields(cls)}
    return cls(**{key: values[key] for key in known & values.keys()})


@tf.custom_gradient
def gelu(x: tf.Tensor):
  """x * Phi(x) with the exact normal distribution (Hendrycks & Gimpel 2016).

  TensorFlow's own keeps four tensors of the size of x for its gradient; this
  one keeps two, and the backward pass is that much shorter.
  """
  phi = 0.5 * (1.0 + tf.math.erf(x * 0.7071067811865476))

  def gradient(upstream):
    return upstream * (phi + x * tf.exp(-0.5 * x * x) * 0.3989422804014327)

  return x * phi, gradient


def activation(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """The activation of that name in a BERT's `config.json`."""
  known = {
      "gelu": gelu,
      "gelu_new": lambda x: tf.nn.gelu(x, approximate=True),
      "gelu_pytorch_tanh": lambda x: tf.nn.gelu(x, approximate=True),
      "relu": tf.nn.relu,
  }
  if name not in known:
    raise UserError(f"hidden_act: expected one of {', '.join(known)}, got '{name}'")
  return known[name]


def initializer() -> tf_keras.initializers.Initializer:
  return tf_keras.initializers.TruncatedNormal(stddev=0.02)


class Norm(tf_keras.layers.Layer):
  """Layer normalisation over the last axis, in float32."""

  def __init__(self, epsilon: float, **kwargs):
    super().__init__(**kwargs)
    self.epsilon = epsilon

  def build(self, shape):
    self.gamma = self.add_weight("gamma", [shape[-1]], initializer="ones")
    self.beta = self.add_weight("beta", [shape[-1]], initializer="zeros")
    super().build(shape)

  def call(self, x: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(x, -1, keepdims=True)
    centred = x - mean
    variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
    return centred * (tf.math.rsqrt(variance + self.epsilon) * self.gamma) + self.beta


class Dense(tf_keras.layers.Dense):
  """A dense layer that multiplies in `precision`; what goes in and out is float32.

  Its weights, norms, softmax and activations stay in float32 too: processors that
  multiply bfloat16 do nothing else in it.
  """

  def __init__(self, size: int, name: str, precision: str = "float32"):
    policy = (tf_keras.mixed_precision.Policy("mixed_bfloat16")
              if precision == "bfloat16" else None)
    super().__init__(size, kernel_initializer=initializer(), name=name, dtype=policy)

  def call(self, x: tf.Tensor) -> tf.Tensor:
    return tf.cast(super().call(x), self.variable_dtype)


class TransformerLayer(tf_keras.layers.Layer):
  """Post-norm self-attention and feed-forward, on rows without padding between."""

  def __init__(self, config: BertConfig, precision: str, **kwargs):
    super().__init__(**kwargs)
    self.heads = config.num_attention_heads
    hidden = config.hidden_size
    self.query, self.key, self.value, self.attention_output = (
        Dense(hidden, name, precision)
        for name in ("query", "key", "value", "attention_output"))
    self.attention_norm = Norm(config.layer_norm_eps, name="attention_norm")
    self.intermediate = Dense(config.intermediate_size, "intermediate", precision)
    self.output_dense = Dense(hidden, "output", precision)
    self.output_norm = Norm(config.layer_norm_eps, name="output_norm")
    self.activation = activation(config.hidden_act)

  def _split(self, x: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    x = tf.reshape(x, [batch, -1, self.heads, x.shape[-1] // self.heads])
    return tf.transpose(x, [0, 2, 1, 3])  # [B, A, T, H/A]

  def call(self, x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """x: [B * T, H]; bias: [B, 1, 1, T], added to the attention scores."""
    batch, size = tf.shape(bias)[0], x.shape[-1]
    query = self._split(self.query(x) * (size // self.heads) ** -0.5, batch)
    key, value = self._split(self.key(x), batch), self._split(self.value(x), batch)
    scores = tf.matmul(query, key, transpose_b=True) + bias  # [B, A, T, T]
    mixed = tf.matmul(tf.nn.softmax(scores), value)
    mixed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, size])
    x = self.attention_norm(x + self.attention_output(mixed))
    inner = self.activation(self.intermediate(x))
    return self.output_norm(x + self.output_dense(inner))


class Bert(tf_keras.layers.Layer):
  """Token ids to hidden states: [B, T] int32 -> [B, T, H] float32.

  `precision` is that of the products with weights, "float32" or "bfloat16".
  """

  def __init__(self, config: BertConfig, precision: str = "float32", **kwargs):
    super().__init__(**kwargs)
    self.config = config
    hidden = config.hidden_size
    self.word_embeddings = self.add_weight(
        "word_embeddings", [config.vocab_size, hidden], initializer=initializer())
    self.position_embeddings = self.add_weight(
        "position_embeddings", [config.max_position_embeddings, hidden],
        initializer=initializer())
    self.token_type_embeddings = self.add_weight(
        "token_type_embeddings", [config.type_vocab_size, hidden],
        initializer=initializer())
    self.embedding_norm = Norm(config.layer_norm_eps, name="embedding_norm")
    self.layers = [TransformerLayer(config, precision, name=f"layer_{i}")
                   for i in range(config.num_hidden_layers)]
    self.embedding_norm.build([None, hidden])

  def call(self, ids: tf.Tensor, mask: tf.Tensor, segments: tf.Tensor
           ) -> tf.Tensor:
    """ids, segments: [B, T] int32; mask: [B, T] bool, False on padding."""
    batch, length = tf.unstack(tf.shape(ids))
    hidden = self.config.hidden_size
    tf.debugging.assert_less_equal(
        length, self.config.max_position_embeddings,
        "more tokens than the model has positions")
    types = tf.one_hot(tf.reshape(segments, [-1]), self.config.type_vocab_size,
                       dtype=self.token_type_embeddings.dtype)
    x = tf.reshape(tf.gather(self.word_embeddings, ids)
                   + self.position_embeddings[:length], [-1, hidden])
    x = self.embedding_norm(x + tf.matmul(types, self.token_type_embeddings))
    bias = tf.where(mask, tf.zeros([], x.dtype), x.dtype.min)[:, None, None, :]
    for layer in self.layers:
      x = layer(x, bias)
    return tf.reshape(x, [batch, length, hidden])
