"""The K candidates of a masked sentence, as the index finds them.

Guu et al. 2020, sections 3.1 and 3.3. Shape letters: B batch, K candidates, M masks, R
banned rows, V vocabulary, D projection.
"""

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.distribute import shares
from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.training import reads


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
  scores = shares.map_shares(
      model.strategy, lambda share: relevance(model, passages, *share), (queries, rows))
  _, best = tf.math.top_k(scores, count - 1)
  return _with_null(passages, tf.gather(rows, best, batch_dims=1))


def _with_null(passages: Passages, rows: tf.Tensor) -> tf.Tensor:
  null = tf.fill([tf.shape(rows)[0], 1], passages.null_row)
  return tf.concat([null, rows], 1)


def choose(config: RealmConfig, model: Realm, index: RowIndex, passages: Passages,
           queries: tf.Tensor, banned: tf.Tensor, count: int = 0) -> tf.Tensor:
  """The candidates in the way that the config names: [B, D], [B, R] -> [B, K] rows.

  Of the whole batch: it is not called on a replica but outside, where the index is. K is
  `count`, or that of pre-training if 0.
  """
  count = count or config.pretrain.candidates
  if config.refresh.mode == "rerank":
    return reranked_candidates(model, index, passages, queries, banned, count,
                               config.refresh.rerank_factor)
  return candidates(index, passages, queries, banned, count)


def relevance(model: Realm, passages: Passages, queries: tf.Tensor, rows: tf.Tensor
              ) -> tf.Tensor:
  """f(x, z) by the fresh document tower: [B, D], [B, K] rows -> [B, K].

  A block that several queries retrieved is embedded once.
  """
  documents, place = reads.distinct_documents(model, passages, rows)
  return reads.relevance(queries, model.retriever.embed_documents(documents), place)


def mask_log_probs(model: Realm, passages: Passages, batch: PretrainingBatch,
                   rows: tf.Tensor) -> tf.Tensor:
  """log p(y_j | z, x) of each mask with each candidate: [B, K] rows -> [B, K, M]."""
  return reads.mask_log_probs(model, batch, reads.pack_pairs(model, passages, batch, rows))


def mask_distributions(model: Realm, passages: Passages, batch: PretrainingBatch,
                       rows: tf.Tensor) -> tf.Tensor:
  """log p(. | z, x) at each mask with each candidate: [B, K] rows -> [B, K, M, V]."""
  pairs = reads.pack_pairs(model, passages, batch, rows)
  return reads.mask_distributions(model, batch, pairs)
