"""A further loss of the retriever in pre-training: blocks that hold the masked span.

ORQA trains its retriever by two losses, of which one, the "early update", needs no reader:
the marginal likelihood of all blocks of a wide beam that hold the answer (Lee et al. 2019,
section 6). In pre-training the masked span is the answer, and what the whole batch retrieved
is the beam: its blocks are embedded by the fresh tower anyhow, so that both towers learn from
some thousand negatives, hard ones among them. Of the blocks that hold the span one more is
embedded for each sentence, since the retriever may have found none. The paper of REALM has
no such loss.

Shape letters: B batch, K candidates, U different blocks, H holders, E banned rows.
"""

import tensorflow as tf

from realm_tf.examples.pretraining import PretrainingBatch
from realm_tf.models import losses
from realm_tf.models.scores import Reads, Scores


def early_update(batch: PretrainingBatch, reads: Reads, scored: Scores
                 ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
  """-log of the p(z|x) of all blocks that hold the span, z being those that were embedded.

  Banned blocks, a sentence's own among them, are none of them. A sentence for which
  no other block holds the span counts as 0.

  Args:
    batch: with `holders`.
    reads: with `rows`; without these there is no such loss.
    scored: with `of_all`.

  Returns:
    The mean over the sentences, a scalar, and what to log.
  """
  if isinstance(reads.rows, tuple):
    return tf.zeros([]), {}
  # The null document, an empty block behind the last, is the first of the first candidates.
  is_null = (tf.range(tf.size(reads.rows)) == reads.place[0, 0])[None]
  logits = tf.where(among(reads.rows, batch.banned) | is_null, -float("inf"), scored.of_all)
  holds = among(reads.rows, batch.holders)
  loss = tf.reduce_mean(losses.marginal_loss(logits, holds))
  best = tf.gather(holds, tf.argmax(logits, 1), batch_dims=1)
  return loss, {"early_update_loss": loss, "best_holds_span": losses.share(best)}


def among(rows: tf.Tensor, listed: tf.Tensor) -> tf.Tensor:
  """[B, U] bool: which of the different rows [U] are among the listed [B, L].

  What is negative, or none of the rows, is nothing.
  """
  listed = tf.maximum(listed, -1) + 1  # 0 for what is negative
  size = 2 + tf.maximum(tf.reduce_max(rows), tf.reduce_max(listed))
  place_of = tf.scatter_nd(rows[:, None] + 1, tf.range(1, tf.size(rows) + 1), [size])
  place = tf.gather(place_of, listed) * tf.cast(listed > 0, tf.int32)  # [B, L], 0: none
  batch = tf.broadcast_to(tf.range(tf.shape(place)[0])[:, None], tf.shape(place))
  count = tf.scatter_nd(tf.stack([batch, place], 2), tf.ones_like(place, tf.float32),
                        [tf.shape(place)[0], tf.size(rows) + 1])
  return count[:, 1:] > 0
