"""How the K candidates of a masked sentence are found (Guu et al. 2020, section 3.3).

Shape letters: B batch, K candidates, E banned rows, D projection.
"""

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.distribute import shares
from realm_tf.index.interface import RowIndex
from realm_tf.models.realm import Realm
from realm_tf.models.scores import relevance, top_candidates, with_null


def reranked_candidates(model: Realm, index: RowIndex, passages: Passages,
                        queries: tf.Tensor, banned: tf.Tensor, count: int, factor: int
                        ) -> tf.Tensor:
  """Like `top_candidates`, but the best, by the fresh tower, of `factor` times as many."""
  more = min((count - 1) * factor, passages.num_blocks - banned.shape[1])
  _, rows = index.search(queries, more, banned)
  scores = shares.map_shares(
      model.strategy, lambda share: relevance(model.retriever, passages, *share),
      (queries, rows))
  _, best = tf.math.top_k(scores, count - 1)
  return with_null(passages, tf.gather(rows, best, batch_dims=1))


def configured_candidates(config: RealmConfig, model: Realm, index: RowIndex,
                          passages: Passages, queries: tf.Tensor, banned: tf.Tensor,
                          count: int = 0) -> tf.Tensor:
  """The candidates in the way that the config names: [B, D], [B, E] -> [B, K] rows.

  Of the whole batch: it is not called on a replica but outside, where the index is. K is
  that of pre-training, or `count`.
  """
  count = count or config.pretrain.candidates
  if config.refresh.mode == "rerank":
    return reranked_candidates(model, index, passages, queries, banned, count,
                               config.refresh.rerank_factor)
  return top_candidates(index, passages, queries, banned, count)
