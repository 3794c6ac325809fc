"""The K candidates of a masked sentence: found, scored by fresh towers, read.

Guu et al. 2020, sections 3.1 and 3.3. Shape letters: B batch, K candidates, M masks, V
vocabulary, D projection.
"""

from typing import Callable, Sequence

import tensorflow as tf

from realm_tf.config import PretrainConfig
from realm_tf.corpus.passages import Passages
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.text.inputs import Packed
from realm_tf.training import replicas


def candidates(index: RowIndex, passages: Passages, queries: tf.Tensor,
               banned: tf.Tensor, count: int) -> tf.Tensor:
  """The null document, then the top `count` - 1 of the index: [B, K] rows."""
  _, rows = index.search(queries, count - 1, banned)
  return _with_null(passages, rows)


def reranked_candidates(model: Realm, index: RowIndex, passages: Passages,
                        queries: tf.Tensor, banned: tf.Tensor, count: int, factor: int
                        ) -> tf.Tensor:
  """As `candidates`, of `factor` times as many from the index the fresh tower's best."""
  more = min((count - 1) * factor, passages.num_blocks - banned.shape[1])
  _, rows = index.search(queries, more, banned)
  scores = replicas.map_shares(
      model.strategy, lambda share: relevance(model, passages, *share), (queries, rows))
  _, best = tf.math.top_k(scores, count - 1)
  return _with_null(passages, tf.gather(rows, best, batch_dims=1))


def _with_null(passages: Passages, rows: tf.Tensor) -> tf.Tensor:
  null = tf.fill([tf.shape(rows)[0], 1], passages.null_row)
  return tf.concat([null, rows], 1)


def choose(pretrain: PretrainConfig, model: Realm, index: RowIndex, passages: Passages,
           queries: tf.Tensor, banned: tf.Tensor) -> tf.Tensor:
  """The candidates in the way that the config names: [B, D], [B, R] -> [B, K] rows.

  Of the whole batch: it is not called on a replica but outside, where the index is.
  """
  if pretrain.refresh == "rerank":
    return reranked_candidates(model, index, passages, queries, banned,
                               pretrain.candidates, pretrain.rerank_factor)
  return candidates(index, passages, queries, banned, pretrain.candidates)


def relevance(model: Realm, passages: Passages, queries: tf.Tensor, rows: tf.Tensor
              ) -> tf.Tensor:
  """f(x, z) by the fresh document tower: [B, D], [B, K] rows -> [B, K].

  A block that several queries retrieved is embedded once.
  """
  documents, place = _distinct(model, passages, rows)
  return _products(queries, model.retriever.embed_documents(documents), place)


def fresh_relevance(model: Realm, passages: Passages, query: Packed, rows: tf.Tensor
                    ) -> tf.Tensor:
  """f(x, z) by both fresh towers: packed queries [B, T], [B, K] rows -> [B, K]."""
  documents, place = _distinct(model, passages, rows)
  of_queries, of_documents = model.retriever(query, documents)
  return _products(of_queries, of_documents, place)


def _distinct(model: Realm, passages: Passages, rows: tf.Tensor
              ) -> tuple[Packed, tf.Tensor]:
  """The blocks that are among [B, K] rows, each once, and which of them each row is."""
  unique, place = tf.unique(tf.reshape(rows, [-1]))
  packed = passages.documents(unique, model.config.retriever.document_length)
  return packed, tf.reshape(place, tf.shape(rows))


def _products(queries: tf.Tensor, documents: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
  return tf.einsum("bd,bkd->bk", queries, tf.gather(documents, place))


def mask_log_probs(model: Realm, passages: Passages, batch: PretrainingBatch,
                   rows: tf.Tensor) -> tf.Tensor:
  """log p(y_j | z, x) of each mask with each candidate: [B, K] rows -> [B, K, M].

  Candidate 0 is the null document: where rows are padded, those pairs are read by
  themselves, since they are short.
  """
  return _by_candidate(model, lambda part: read_pairs(model, passages, batch, part), rows)


def read_pairs(model: Realm, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor
               ) -> tf.Tensor:
  """As `mask_log_probs`, but all pairs padded alike: [B, K] rows -> [B * K, M]."""
  packed, (positions, labels, weights) = _pairs(
      model, passages, batch, rows, (batch.positions, batch.labels, batch.weights))
  return model.encoder.mask_log_probs(packed, positions, labels, weights)


def mask_distributions(model: Realm, passages: Passages, batch: PretrainingBatch,
                       rows: tf.Tensor) -> tf.Tensor:
  """log p(. | z, x) at each mask with each candidate: [B, K] rows -> [B, K, M, V]."""
  def read(rows: tf.Tensor) -> tf.Tensor:
    packed, (positions, weights) = _pairs(
        model, passages, batch, rows, (batch.positions, batch.weights))
    return model.encoder.mask_distributions(packed, positions, weights)

  return _by_candidate(model, read, rows)


def _pairs(model: Realm, passages: Passages, batch: PretrainingBatch, rows: tf.Tensor,
           fields: Sequence[tf.Tensor]) -> tuple[Packed, list[tf.Tensor]]:
  """B * K packed pairs, and the fields [B, M] of the batch for each of them."""
  packed = passages.after(questions_of(batch), rows, model.config.pretrain.encoder_length,
                          whole_questions=True)
  return packed, [tf.repeat(field, tf.shape(rows)[1], axis=0) for field in fields]


def questions_of(batch: PretrainingBatch) -> tf.RaggedTensor:
  """[B, (T)]: the masked sentences without special tokens."""
  lengths = tf.reduce_sum(tf.cast(batch.query.mask, tf.int32), 1) - 2
  return tf.RaggedTensor.from_tensor(batch.query.ids[:, 1:], lengths)


def _by_candidate(model: Realm, read: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor
                  ) -> tf.Tensor:
  """Reads [B, K] pairs, of which `read` gives [B * K, ...]: [B, K, ...]."""
  parts = []
  for part in [rows] if model.encoder.bert.packs else [rows[:, :1], rows[:, 1:]]:
    flat = read(part)
    parts.append(tf.reshape(flat, tf.concat([tf.shape(part), tf.shape(flat)[1:]], 0)))
  return tf.concat(parts, 1)
