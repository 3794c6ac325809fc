"""What a step reads, in tensors whose shapes do not depend on the data.

XLA compiles for given shapes. So what is looked up and packed is packed on the host, to the
lengths of the config, and all that the replicas do is dense: towers, encoder, loss, update.
A block that several queries retrieved is embedded for each, and padding costs what words do.

Shape letters: B batch, K candidates, M masks, T tokens, D projection.
"""

from typing import NamedTuple

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models.realm import Realm
from realm_tf.models.scores import questions_of
from realm_tf.text.inputs import Packed


class FixedReads(NamedTuple):
  """What a pre-training step reads."""
  batch: PretrainingBatch
  documents: Packed  # [B, K - 1, T], for the document tower; the null document is apart
  alone: Packed  # [B, 1, T]: with the null document, for the encoder
  pairs: Packed  # [B, K - 1, T]: with the other candidates


def pack(config: RealmConfig, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor
         ) -> FixedReads:
  """Looks up and packs, on the host; `rows` [B, K], 0 the null document."""
  found, length = rows[:, 1:], config.pretrain.encoder_length
  questions = questions_of(batch.query)
  # `[CLS] x [SEP] [SEP]` is one longer than the query.
  shortest = min(length, config.pretrain.query_length + 1)
  documents = passages.documents(tf.reshape(found, [-1]), config.retriever.document_length,
                                 multiple=0)
  return FixedReads(
      batch, by_candidate(documents, found),
      by_candidate(passages.after(questions, rows[:, :1], shortest, multiple=0),
                    rows[:, :1]),
      by_candidate(passages.after(questions, found, length, multiple=0), found))


def relevance(model: Realm, passages: Passages, queries: tf.Tensor, reads: FixedReads
              ) -> tf.Tensor:
  """f(x, z) by the fresh document tower: [B, D] -> [B, K]."""
  special = passages.special
  ids = tf.constant([[special.cls_id, special.sep_id, special.sep_id]])
  nothing = Packed(ids, tf.ones_like(ids, tf.bool), tf.constant([[0, 0, 1]]),
                   tf.constant([2]))
  null = model.retriever.embed_documents(nothing)  # [1, D]
  documents = model.retriever.embed_documents(flat(reads.documents))
  documents = tf.reshape(documents, [*reads.documents.ids.shape[:2], queries.shape[1]])
  return tf.concat([tf.matmul(queries, null, transpose_b=True),
                    tf.einsum("bd,bkd->bk", queries, documents)], 1)


def mask_log_probs(model: Realm, reads: FixedReads) -> tf.Tensor:
  """log p(y_j | z, x) of each mask with each candidate: [B, K, M]."""
  def read(packed: Packed) -> tf.Tensor:
    size, count = packed.ids.shape[:2]
    fields = (tf.repeat(field, count, axis=0) for field in (
        reads.batch.positions, reads.batch.labels, reads.batch.weights))
    return tf.reshape(model.encoder.mask_log_probs_padded(flat(packed), *fields),
                      [size, count, reads.batch.weights.shape[1]])

  return tf.concat([read(reads.alone), read(reads.pairs)], 1)


def by_candidate(packed: Packed, rows: tf.Tensor) -> Packed:
  """[B * K, ...] -> [B, K, ...]"""
  return tf.nest.map_structure(lambda t: tf.reshape(t, [*rows.shape, *t.shape[1:]]), packed)


def flat(packed: Packed) -> Packed:
  """[B, K, ...] -> [B * K, ...]"""
  return tf.nest.map_structure(
      lambda t: tf.reshape(t, [t.shape[0] * t.shape[1], *t.shape[2:]]), packed)
