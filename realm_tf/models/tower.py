"""A tower of the retriever: text to a vector (REALM, section 3.1).

A BERT, pooled, projected and normalised. Shape letters: B batch, T tokens, D dimensions.
"""

import tensorflow as tf
import tf_keras

from realm_tf.models.bert import Bert
from realm_tf.models.dense import Norm, dense
from realm_tf.models.lexical import Lexical
from realm_tf.text.inputs import Packed

POOLINGS = ("pooler", "cls", "mean")


class Tower(tf_keras.layers.Layer):
  """Packed text to one vector: [B, T] -> [B, D] float32, D = projection + lexical size.

  Published REALM takes [CLS] through BERT's pooler, a tanh layer (`pooling="pooler"`);
  `pooling="cls"` leaves the pooler out. Sentence encoders such as MiniLM were trained
  with the mean over tokens (`pooling="mean"`). With a `lexical_size` the vector ends in so
  many dimensions of its words; see `models.lexical`.
  """

  def __init__(self, bert: Bert, pooling: str, projection_size: int, lexical_size: int = 0,
               lexical_weight: float = 0.0, **kwargs):
    super().__init__(**kwargs)
    if pooling not in POOLINGS:
      raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, got '{pooling}'")
    hidden = bert.config.hidden_size
    self.pooling = pooling
    self.bert = bert
    with tf.name_scope(self.name):
      self.pooler = (dense(hidden, hidden, "pooler", activation="tanh")
                     if pooling == "pooler" else None)
      # An orthogonal projection keeps what the pre-trained vectors know of distance.
      self.projection = dense(hidden, projection_size, "projection",
                              kernel_initializer="orthogonal")
      self.norm = Norm(bert.config.layer_norm_eps, projection_size, name="projection_norm")
      self.lexical = (Lexical(bert.config.vocab_size, lexical_size, lexical_weight,
                              name="lexical") if lexical_size else None)
    self.size = projection_size + lexical_size
    self.built = True

  def call(self, packed: Packed) -> tf.Tensor:
    rows = packed.ids, packed.padding_mask, packed.segments
    if self.pooling == "mean":
      hidden = self.bert(*rows)  # [B, T, H]
      weights = tf.cast(packed.padding_mask, hidden.dtype)[:, :, None]
      pooled = tf.reduce_sum(hidden * weights, 1) / tf.reduce_sum(weights, 1)
    else:
      pooled = self.bert(*rows, first=True)
    if self.pooler:
      pooled = self.pooler(pooled)
    vectors = self.norm(self.projection(pooled))
    return tf.concat([vectors, self.lexical(packed)], 1) if self.lexical else vectors
