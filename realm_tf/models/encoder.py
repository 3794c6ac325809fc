"""The knowledge-augmented encoder: a BERT over question and passage together.

With a masked-LM head it predicts masked words (pre-training), with a span head
it finds answers (REALM, section 3.1; ORQA, section 3). Shape letters: R rows of
question-passage pairs, T tokens, M masks, W span widths, S span hidden, V
vocabulary, H hidden.
"""

import tensorflow as tf
import tf_keras

from realm_tf.config import EncoderConfig
from realm_tf.models import kernels
from realm_tf.models.bert import Bert, BertConfig, Norm, initializer
from realm_tf.text.inputs import Packed


def _dense(size: int, name: str) -> tf_keras.layers.Dense:
  return tf_keras.layers.Dense(size, kernel_initializer=initializer(), name=name)


class MaskedLanguageModel(tf_keras.layers.Layer):
  """BERT's masked-word head, with the output matrix tied to the embeddings."""

  def __init__(self, config: BertConfig, **kwargs):
    super().__init__(**kwargs)
    self.transform = _dense(config.hidden_size, "transform")
    self.activation = kernels.activation_name(config.hidden_act)
    self.norm = Norm(config.layer_norm_eps, config.hidden_size, name="transform_norm")
    self.bias = self.add_weight("bias", [config.vocab_size], initializer="zeros")

  def call(self, hidden: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
    """[M, H] states and the [V, H] word embeddings -> logits [M, V]."""
    hidden = self.norm(kernels.Portable.activation(
        self.transform(hidden), tf.zeros([], hidden.dtype), self.activation))
    return tf.matmul(hidden, embeddings, transpose_b=True) + self.bias


class SpanHead(tf_keras.layers.Layer):
  """Scores every span of up to W tokens: MLP([h_start; h_end]) (ORQA, section 3.2).

  The published MLP: start and end projections added, ReLU, then layer norm with
  epsilon 1e-3, then one unit.
  """

  def __init__(self, span_hidden_size: int, max_span_width: int, norm_eps: float = 1e-3,
               **kwargs):
    super().__init__(**kwargs)
    self.max_span_width = max_span_width
    self.projection = _dense(2 * span_hidden_size, "projection")
    self.norm = Norm(norm_eps, span_hidden_size, name="span_norm")
    self.score = _dense(1, "score")

  def call(self, hidden: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Logits of the spans that start at t and end at t + w.

    Args:
      hidden: [R, T, H].
      allowed: [R, T] bool, the tokens that an answer may take.

    Returns:
      [R, T, W] float32; minus infinity where the span leaves `allowed`.
    """
    starts, ends = tf.split(self.projection(hidden), 2, axis=-1)  # [R, T, S]
    length, width = tf.shape(hidden)[1], self.max_span_width
    ends = tf.pad(ends, [[0, 0], [0, width], [0, 0]])
    allowed_ends = tf.pad(allowed, [[0, 0], [0, width]])
    pairs = tf.stack([starts + ends[:, w:w + length] for w in range(width)], 2)
    valid = tf.stack([allowed & allowed_ends[:, w:w + length] for w in range(width)], 2)
    logits = self.score(self.norm(tf.nn.relu(pairs)))[..., 0]  # [R, T, W]
    return tf.where(valid, logits, -float("inf"))


class KnowledgeEncoder(tf_keras.layers.Layer):
  """The encoder with both heads on one BERT."""

  def __init__(self, config: EncoderConfig, bert: BertConfig, **kwargs):
    super().__init__(**kwargs)
    self.bert = Bert(bert, config.precision, config.recompute, name="bert")
    self.masked_lm = MaskedLanguageModel(bert, name="masked_lm")
    self.span_head = SpanHead(config.span_hidden_size, config.max_span_width,
                              config.span_norm_eps, name="span_head")

  def mask_log_probs(self, packed: Packed, positions: tf.Tensor, labels: tf.Tensor,
                     weights: tf.Tensor) -> tf.Tensor:
    """log p(y_j | z, x): logits are computed at the masked positions only.

    Args:
      packed: question-passage pairs, [R, T].
      positions, labels: [R, M] int32.
      weights: [R, M] float32, 0 on padding, for which no logits are made.

    Returns:
      [R, M] float32; 0 on padding.
    """
    real, logits = self._at_masks(packed, positions, weights)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.gather_nd(labels, real), logits)
    return tf.scatter_nd(real, -losses, tf.shape(weights, tf.int64))

  def mask_log_probs_padded(self, packed: Packed, positions: tf.Tensor, labels: tf.Tensor,
                            weights: tf.Tensor) -> tf.Tensor:
    """As `mask_log_probs`; makes logits on padding too, so no shape depends on the data."""
    hidden = self.bert(packed.ids, packed.mask, packed.segments)
    at_masks = tf.gather(hidden, positions, batch_dims=1)  # [R, M, H]
    logits = self.masked_lm(tf.reshape(at_masks, [-1, hidden.shape[-1]]),
                            self.bert.word_embeddings)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.reshape(labels, [-1]), logits)
    return -tf.reshape(losses, tf.shape(weights)) * weights

  def mask_distributions(self, packed: Packed, positions: tf.Tensor, weights: tf.Tensor
                         ) -> tf.Tensor:
    """log p(. | z, x) at each mask: as `mask_log_probs`, but [R, M, V]."""
    real, logits = self._at_masks(packed, positions, weights)
    shape = tf.concat([tf.shape(weights, tf.int64), tf.shape(logits, tf.int64)[1:]], 0)
    return tf.scatter_nd(real, tf.nn.log_softmax(logits), shape)

  def _at_masks(self, packed: Packed, positions: tf.Tensor, weights: tf.Tensor
                ) -> tuple[tf.Tensor, tf.Tensor]:
    """The P masks that are no padding: row and mask [P, 2] int64, logits [P, V]."""
    hidden = self.bert(packed.ids, packed.mask, packed.segments)
    real = tf.where(weights > 0)
    row = tf.cast(real[:, :1], tf.int32)
    at_masks = tf.gather_nd(
        hidden, tf.concat([row, tf.gather_nd(positions, real)[:, None]], 1))  # [P, H]
    return real, self.masked_lm(at_masks, self.bert.word_embeddings)

  def span_logits(self, packed: Packed) -> tf.Tensor:
    """[R, T] -> [R, T, W]: the score of each span of the passage."""
    hidden = self.bert(packed.ids, packed.mask, packed.segments)
    place = tf.range(tf.shape(packed.ids)[1])[None]
    # The last token of a packed pair is [SEP]: no answer ends there.
    end = tf.reduce_sum(tf.cast(packed.mask, tf.int32), -1)[:, None] - 1
    return self.span_head(
        hidden, (place >= packed.second_start[:, None]) & (place < end))
