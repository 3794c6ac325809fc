"""The losses of REALM and ORQA, as functions of scores.

Shape letters: B batch, K candidates, M masks, W beam, S spans.
Sources: REALM (Guu et al. 2020, arXiv 2002.08909), ORQA (Lee et al. 2019,
arXiv 1906.00300).
"""

from typing import Callable

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

# relevance [B, K], log p(y_j|z, x) [B, K, M], weights [B, M] -> [B]
MarginalLoss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def in_batch_softmax(queries: tf.Tensor, documents: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
  """-log of the probability that each query gives to its own document, on average.

  The softmax is over the documents of the batch (ORQA, section 5). A document that stands
  twice in the batch is not its own negative.

  Args:
    queries: [B, D].
    documents: [B', D]; the first B belong to the queries, all others are negatives only.
    ids: [B'], of the documents; equal ones are the same.

  Returns:
    A scalar.
  """
  task = tfrs.tasks.Retrieval(remove_accidental_hits=True)
  total = task(queries, documents, candidate_ids=ids, compute_metrics=False)
  return total / tf.cast(tf.shape(queries)[0], total.dtype)


def contrastive_loss(scores: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
  """-log of the probability that each query gives to its own document (DPR, section 3.2).

  Args:
    scores: [B, B'] of queries and documents, the first B of which are the queries' own.
    right: [B, B'] bool: which are an answer to the query, its own or not. The others of
      them are no negatives.

  Returns:
    [B] float32.
  """
  is_own = tf.eye(tf.shape(scores)[0], tf.shape(scores)[1], dtype=scores.dtype)
  # The lowest number instead of minus infinity, whose gradient would be NaN.
  compared = tf.where(right & (is_own == 0), scores.dtype.min, scores)
  own_scores = tf.linalg.diag_part(scores[:, :tf.shape(scores)[0]])
  return tf.reduce_logsumexp(compared, 1) - own_scores


def in_batch_accuracy(queries: tf.Tensor, documents: tf.Tensor) -> tf.Tensor:
  """How many of the queries [B, D] have their own document [B', D] before all others."""
  best = tf.argmax(tf.matmul(queries, documents, transpose_b=True), 1, tf.int32)
  return share(best == tf.range(tf.shape(queries)[0]))


def share(flags: tf.Tensor) -> tf.Tensor:
  """How many of them are true: a scalar from 0 to 1."""
  return tf.reduce_mean(tf.cast(flags, tf.float32))


def log_prior(relevance: tf.Tensor) -> tf.Tensor:
  """log p(z|x) over the candidates: [B, K] -> [B, K]."""
  return tf.nn.log_softmax(relevance, axis=-1)


@tf_keras.saving.register_keras_serializable(package="realm_tf")
def joint_loss(relevance: tf.Tensor, mask_log_probs: tf.Tensor,
               weights: tf.Tensor) -> tf.Tensor:
  """-log sum_z p(z|x) prod_j p(y_j|z,x), the loss of the paper (section 3.1).

  Args:
    relevance: f(x, z), [B, K].
    mask_log_probs: log p(y_j|z, x), [B, K, M].
    weights: 1 for a mask, 0 for padding, [B, M].

  Returns:
    [B] float32; 0 for an example without masks.
  """
  answer = tf.einsum("bkm,bm->bk", mask_log_probs, weights)
  loss = -tf.reduce_logsumexp(log_prior(relevance) + answer, axis=-1)
  return loss * tf.cast(tf.reduce_sum(weights, -1) > 0, loss.dtype)


@tf_keras.saving.register_keras_serializable(package="realm_tf")
def per_mask_loss(relevance: tf.Tensor, mask_log_probs: tf.Tensor,
                  weights: tf.Tensor) -> tf.Tensor:
  """-sum_j log sum_z p(z|x) p(y_j|z,x), the loss of the published code.

  Google's and Hugging Face's programs average this over all masks of a batch:
  `tf.reduce_sum(per_mask_loss(...)) / tf.reduce_sum(weights)`. Arguments and
  result as in `joint_loss`.
  """
  log_probs = tf.reduce_logsumexp(
      log_prior(relevance)[:, :, None] + mask_log_probs, axis=1)  # [B, M]
  return -tf.reduce_sum(log_probs * weights, axis=-1)


def mean_marginal(loss: MarginalLoss, relevance: tf.Tensor, mask_log_probs: tf.Tensor,
                  weights: tf.Tensor, masks: tf.Tensor | None = None) -> tf.Tensor:
  """The loss of a batch: the mean over its examples; of `per_mask_loss`, over its masks.

  Args:
    loss: `joint_loss`, `per_mask_loss`, or another function of the same.
    relevance, mask_log_probs, weights: see there.
    masks: how many masks count as all, where the batch is a part of one; the mean over the
      parts is then the loss of the whole batch.
  """
  values = loss(relevance, mask_log_probs, weights)
  if loss is not per_mask_loss:
    return tf.reduce_mean(values)
  return tf.reduce_sum(values) / (tf.reduce_sum(weights) if masks is None else masks)


def marginal_metrics(relevance: tf.Tensor, mask_log_probs: tf.Tensor, weights: tf.Tensor,
                     masks: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
  """What is worth knowing of retrieval while it learns; arguments as of `mean_marginal`.

  `retrieval_utility`, weighted by p(z|x), and `best_retrieval_utility`, of the best
  document; `null_probability`, p of the null document; `prior_entropy` of p(z|x), in nats;
  `mask_log_prob_null`, log p(y_j|null, x) of a mask.
  """
  prior = tf.nn.softmax(relevance)  # [B, K]
  utility = retrieval_utility(mask_log_probs, weights)  # [B, K - 1]
  block_prior = prior[:, 1:] / tf.reduce_sum(prior[:, 1:], 1, keepdims=True)
  entropy = -tf.reduce_sum(prior * tf.math.log(prior + 1e-20), 1)
  masks = tf.reduce_sum(weights) if masks is None else masks
  return {
      "retrieval_utility": tf.reduce_mean(tf.reduce_sum(block_prior * utility, 1)),
      "best_retrieval_utility": tf.reduce_mean(tf.reduce_max(utility, 1)),
      "null_probability": tf.reduce_mean(prior[:, 0]),
      "prior_entropy": tf.reduce_mean(entropy),
      "mask_log_prob_null": tf.reduce_sum(mask_log_probs[:, 0] * weights) / masks,
  }


def retrieval_utility(mask_log_probs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
  """RU(z|x) = log p(y|z,x) - log p(y|null,x) (REALM, appendix D).

  Candidate 0 is the null document. [B, K, M], [B, M] -> [B, K - 1].
  """
  answer = tf.einsum("bkm,bm->bk", mask_log_probs, weights)
  return answer[:, 1:] - answer[:, :1]


def marginal_loss(logits: tf.Tensor, correct: tf.Tensor) -> tf.Tensor:
  """-log of the probability that a softmax gives to all correct candidates.

  Used twice in fine-tuning (ORQA, section 6): over the blocks of the beam
  ("early update") and over all spans of all read blocks.

  Args:
    logits: [B, S], minus infinity where there is no candidate.
    correct: [B, S] bool.

  Returns:
    [B] float32; 0, with no gradient, where no candidate is correct.
  """
  candidates = tf.math.is_finite(logits)
  correct &= candidates  # a gold span that was cut off is no candidate
  has_correct = tf.reduce_any(correct, -1)
  # The lowest number instead of minus infinity, whose gradient would be NaN.
  lowest = logits.dtype.min
  log_correct = tf.reduce_logsumexp(tf.where(correct, logits, lowest), -1)
  log_total = tf.reduce_logsumexp(tf.where(candidates, logits, lowest), -1)
  return tf.where(has_correct, log_total - log_correct, 0.0)
