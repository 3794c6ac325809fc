"""The retriever: two towers into one vector space (REALM, section 3.1).

f(x, z) = Embed_input(x) . Embed_doc(z); each tower is a BERT, pooled, projected
to D dimensions and normalised. Shape letters: B batch, T tokens, D projection.
"""

import tensorflow as tf
import tf_keras

from realm_tf.config import RetrieverConfig
from realm_tf.models.bert import Bert, BertConfig, Norm
from realm_tf.text.inputs import Packed, joined


class Tower(tf_keras.layers.Layer):
  """Packed text to one vector: [B, T] -> [B, D] float32.

  Published REALM takes [CLS] through BERT's pooler, a tanh layer (`pooling="pooler"`);
  `pooling="cls"` leaves the pooler out. Sentence encoders such as MiniLM were trained
  with the mean over tokens (`pooling="mean"`).
  """

  def __init__(self, bert: BertConfig, pooling: str, projection_size: int,
               precision: str = "float32", recompute: bool = False, **kwargs):
    super().__init__(**kwargs)
    self.pooling = pooling
    self.bert = Bert(bert, precision, recompute, name="bert")
    self.pooler = (tf_keras.layers.Dense(bert.hidden_size, "tanh", name="pooler")
                   if pooling == "pooler" else None)
    # An orthogonal projection keeps what the pre-trained vectors know of distance.
    self.projection = tf_keras.layers.Dense(
        projection_size, kernel_initializer="orthogonal", name="projection")
    self.norm = Norm(bert.layer_norm_eps, projection_size, name="projection_norm")

  def call(self, packed: Packed) -> tf.Tensor:
    hidden = self.bert(packed.ids, packed.mask, packed.segments)  # [B, T, H]
    if self.pooling == "mean":
      weights = tf.cast(packed.mask, hidden.dtype)[:, :, None]
      pooled = tf.reduce_sum(hidden * weights, 1) / tf.reduce_sum(weights, 1)
    else:
      pooled = hidden[:, 0]
    if self.pooler:
      pooled = self.pooler(pooled)
    return self.norm(self.projection(pooled))


class Retriever(tf_keras.layers.Layer):
  """Query and document towers; one and the same where `shared_towers`."""

  def __init__(self, config: RetrieverConfig, bert: BertConfig, **kwargs):
    super().__init__(**kwargs)
    self.config = config
    self.bert_config = bert
    self.query_tower = self.make_tower("query_tower")
    self.document_tower = (self.query_tower if config.shared_towers
                           else self.make_tower("document_tower"))

  def make_tower(self, name: str, precision: str = "") -> Tower:
    """Another tower of the same shape, with weights of its own; by default as precise."""
    return Tower(self.bert_config, self.config.pooling, self.config.projection_size,
                 precision or self.config.precision, self.config.recompute, name=name)

  @property
  def towers(self) -> list[Tower]:
    """The query tower, and the document tower where that is another."""
    query, document = self.query_tower, self.document_tower
    return [query] if query is document else [query, document]

  def embed_queries(self, packed: Packed) -> tf.Tensor:
    """[B, T] -> [B, D] float32."""
    return self.query_tower(packed)

  def embed_documents(self, packed: Packed) -> tf.Tensor:
    """[B, T] -> [B, D] float32."""
    return self.document_tower(packed)

  def call(self, queries: Packed, documents: Packed) -> tuple[tf.Tensor, tf.Tensor]:
    """Both at once: [B, T] and [B', T'] -> [B, D] and [B', D] float32."""
    tower = self.query_tower
    if tower is not self.document_tower or not tower.bert.packs:
      return self.embed_queries(queries), self.embed_documents(documents)
    # One pass instead of two: rows are packed, so padding costs nothing.
    vectors = tower(joined(queries, documents))
    count = tf.shape(queries.ids)[0]
    return vectors[:count], vectors[count:]

  def part_towers(self) -> None:
    """Gives a shared retriever a query tower of its own, with the same weights.

    Fine-tuning trains Embed_input and keeps Embed_doc as the index knows it.
    """
    if self.query_tower is not self.document_tower:
      return
    shared = self.document_tower
    self.query_tower = self.make_tower("query_tower")
    zeros = tf.zeros([1, 2], tf.int32)
    self.query_tower(Packed(zeros, zeros == 0, zeros, tf.constant([2])))
    for copy, live in zip(self.query_tower.variables, shared.variables, strict=True):
      copy.assign(live)
