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
    projected, allowed = self.projection(hidden), tf.convert_to_tensor(allowed)
    # A norm's scale and shift go into the score: normalised states are made for nobody.
    kernel = self.score.kernel[:, 0]
    constant = tf.reduce_sum(self.norm.beta * kernel) + self.score.bias[0]
    return transformer.choose_kernels(projected.dtype).span_scores(
        projected, allowed, self.norm.gamma * kernel, constant, self.max_span_width,
        self.norm.epsilon)
