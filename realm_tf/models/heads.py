"""The heads of the reader: masked words, and spans of the passage.

Shape letters: P rows of question-passage pairs, T tokens, M masks, L span widths, F span
hidden, V vocabulary, H hidden.
"""

import tensorflow as tf
import tf_keras

from realm_tf.models.bert import BertConfig
from realm_tf.models.dense import Norm, dense, initializer
from realm_tf.ops import transformer


class MaskedLanguageModel(tf_keras.layers.Layer):
  """BERT's masked-word head, with the output matrix tied to the embeddings."""

  def __init__(self, config: BertConfig, **kwargs):
    super().__init__(**kwargs)
    hidden = config.hidden_size
    self.activation = transformer.activation_name(config.hidden_act)
    with tf.name_scope(self.name):
      self.transform = dense(hidden, hidden, "transform", kernel_initializer=initializer())
      self.norm = Norm(config.layer_norm_eps, hidden, name="transform_norm")
      self.bias = self.add_weight("bias", [config.vocab_size], initializer="zeros")
    self.built = True

  def call(self, hidden: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
    """[M, H] states and the [V, H] word embeddings -> logits [M, V]."""
    hidden = self.norm(transformer.Portable.activation(
        self.transform(hidden), tf.zeros([], hidden.dtype), self.activation))
    return tf.matmul(hidden, embeddings, transpose_b=True) + self.bias


class SpanHead(tf_keras.layers.Layer):
  """Scores every span of up to L tokens: MLP([h_start; h_end]) (ORQA, section 3.2).

  The published MLP: start and end projections added, ReLU, then layer norm with
  epsilon 1e-3, then one unit.
  """

  def __init__(self, hidden_size: int, span_hidden_size: int, max_span_width: int,
               norm_eps: float = 1e-3, **kwargs):
    super().__init__(**kwargs)
    self.max_span_width = max_span_width
    with tf.name_scope(self.name):
      self.projection = dense(hidden_size, 2 * span_hidden_size, "projection",
                              kernel_initializer=initializer())
      self.norm = Norm(norm_eps, span_hidden_size, name="span_norm")
      self.score = dense(span_hidden_size, 1, "score", kernel_initializer=initializer())
    self.built = True

  def call(self, hidden: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Logits of the spans that start at t and end at t + w.

    Args:
      hidden: [P, T, H].
      allowed: [P, T] bool, the tokens that an answer may take.

    Returns:
      [P, T, L] float32; minus infinity where the span leaves `allowed`.
    """
    starts, ends = tf.split(self.projection(hidden), 2, axis=-1)  # [P, T, F]
    length, width = tf.shape(hidden)[1], self.max_span_width
    ends = tf.pad(ends, [[0, 0], [0, width], [0, 0]])
    allowed_ends = tf.pad(allowed, [[0, 0], [0, width]])
    valid = tf.stack([allowed & allowed_ends[:, w:w + length] for w in range(width)], 2)
    logits = tf.stack([self._score(tf.nn.relu(starts + ends[:, w:w + length]))
                       for w in range(width)], 2)
    return tf.where(valid, logits, -float("inf"))

  def _score(self, x: tf.Tensor) -> tf.Tensor:
    """score(norm(x)): [P, T, F] -> [P, T], without normalised states, of which nothing else
    is needed: a norm is linear but for two numbers of each row."""
    weight = self.norm.gamma * self.score.kernel[:, 0]
    size = tf.cast(tf.size(weight), x.dtype)
    mean, product = tf.unstack(
        tf.matmul(x, tf.stack([tf.ones_like(weight) / size, weight], 1)), axis=-1)
    variance = tf.reduce_mean(tf.square(x), -1) - tf.square(mean)
    scale = tf.math.rsqrt(tf.maximum(variance, 0) + self.norm.epsilon)
    return ((product - mean * tf.reduce_sum(weight)) * scale
            + tf.reduce_sum(self.norm.beta * self.score.kernel[:, 0]) + self.score.bias)
