"""How the K candidates of a masked sentence are found (Guu et al. 2020, section 3.3).

Shape letters: B batch, K candidates, R banned rows, D projection.
"""

import tensorflow as tf

from realm_tf.config import PretrainConfig
from realm_tf.corpus.passages import Passages
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.models.scores import candidates, relevance, with_null
from realm_tf.training import replicas


def reranked_candidates(model: Realm, index: RowIndex, passages: Passages,
                        queries: tf.Tensor, banned: tf.Tensor, count: int, factor: int
                        ) -> tf.Tensor:
  """As `candidates`, of `factor` times as many from the index the fresh tower's best."""
  more = min((count - 1) * factor, passages.num_blocks - banned.shape[1])
  _, rows = index.search(queries, more, banned)
  scores = replicas.map_shares(
      model.strategy, lambda share: relevance(model.retriever, passages, *share),
      (queries, rows))
  _, best = tf.math.top_k(scores, count - 1)
  return with_null(passages, tf.gather(rows, best, batch_dims=1))


def choose(pretrain: PretrainConfig, model: Realm, index: RowIndex, passages: Passages,
           queries: tf.Tensor, banned: tf.Tensor) -> tf.Tensor:
  """The candidates in the way that the config names: [B, D], [B, R] -> [B, K] rows.

  Of the whole batch: it is not called on a replica but outside, where the index is.
  """
  if pretrain.refresh == "rerank":
    return reranked_candidates(model, index, passages, queries, banned,
                               pretrain.candidates, pretrain.rerank_factor)
  return candidates(index, passages, queries, banned, pretrain.candidates)
