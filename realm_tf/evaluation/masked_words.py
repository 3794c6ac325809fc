"""What pre-training teaches: the masked words of sentences that were never trained on.

Shape letters: B batch, K candidates, M masks, V vocabulary.
"""

import numpy as np
import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.store import Corpus
from realm_tf.examples.pretraining import PretrainingBatch, configured_batches
from realm_tf.index.interface import RowIndex
from realm_tf.models import losses
from realm_tf.models.realm import Realm
from realm_tf.models.scores import mask_distributions, relevance, top_candidates
from realm_tf.training.likelihood import configured_log_probs, configured_relevance


def masked_words(config: RealmConfig, corpus: Corpus, passages: Passages, model: Realm,
                 index: RowIndex, banned: np.ndarray) -> dict[str, float]:
  """Predicts masked salient words with the retrieved blocks, and without any.

  Args:
    config: of the run; masks, K, p(z|x) and p(y|z,x) are those of its pre-training.
    corpus, passages: the same documents.
    model: retriever and encoder.
    index: of whatever kind, made by the model's document tower.
    banned: [N, E] int32, see `examples.pretraining.pretraining_batches`.

  Returns:
    `masked_words`: share of word pieces right by the word head's mixture over the K
    candidates; `masked_words_alone`: by the null document only; `retrieval_utility`: nats
    per sentence that the mixture gains over the null document.
  """
  settings = config.pretrain
  batches = -(-config.evaluate.masked_sentences // settings.batch_size)
  data = configured_batches(settings, corpus, banned, batch_size=settings.batch_size,
                            seed=config.seed, first_step=0, last_step=batches, held_out=True)

  @tf.function(input_signature=[data.element_spec])
  def score(batch: PretrainingBatch):
    queries = model.retriever.embed_queries(batch.query)
    rows = top_candidates(index, passages, queries, batch.banned, settings.candidates)
    found = configured_relevance(config, relevance(model.retriever, passages, queries, rows))
    prior = losses.log_prior(found)  # [B, K]
    by_block = mask_distributions(model.encoder, passages, batch, rows,
                                  settings.encoder_length, settings.window)  # [B, K, M, V]
    mixed = tf.reduce_logsumexp(prior[:, :, None, None] + by_block, 1)  # [B, M, V]
    if settings.objective == "masked_words":
      gain = _gain(mixed, by_block[:, 0], batch)
    else:  # of the sentence as a whole: a span has no likelihood piece by piece
      gain = _joint_gain(found, configured_log_probs(config, model.encoder, passages, batch,
                                                     rows), batch.weights)
    return tf.stack([_right(mixed, batch), _right(by_block[:, 0], batch), gain],
                    1), tf.reduce_sum(batch.weights, 1)

  sums, pieces = zip(*(score(batch) for batch in data))
  right, alone, gain = np.concatenate(sums).sum(0)
  count = np.concatenate(pieces)
  return {"masked_words": float(right / count.sum()),
          "masked_words_alone": float(alone / count.sum()),
          "retrieval_utility": float(gain / len(count))}


def _right(log_probs: tf.Tensor, batch: PretrainingBatch) -> tf.Tensor:
  """How many pieces of each sentence are the likeliest: [B, M, V] -> [B]."""
  best = tf.argmax(log_probs, -1, tf.int32)
  return tf.reduce_sum(tf.cast(best == batch.labels, tf.float32) * batch.weights, 1)


def _gain(mixed: tf.Tensor, alone: tf.Tensor, batch: PretrainingBatch) -> tf.Tensor:
  """Nats by which the mixture finds the masked pieces likelier: [B, M, V] -> [B]."""
  labelled = tf.gather(mixed - alone, batch.labels, batch_dims=2)  # [B, M]
  return tf.reduce_sum(labelled * batch.weights, 1)


def _joint_gain(found: tf.Tensor, log_probs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
  """As `_gain`, of scores [B, K] and log p(y_j|z,x) [B, K, M]: [B]."""
  alone = tf.reduce_sum(log_probs[:, 0] * weights, 1)
  return -losses.joint_loss(found, log_probs, weights) - alone
