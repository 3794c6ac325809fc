"""The losses of REALM and ORQA, as functions of scores.

Shape letters: B batch, K candidates, M masks, W beam, S spans.
Sources: REALM (Guu et al. 2020, arXiv 2002.08909), ORQA (Lee et al. 2019,
arXiv 1906.00300).
"""

import dataclasses
from typing import Callable

import tensorflow as tf


def log_prior(relevance: tf.Tensor) -> tf.Tensor:
  """log p(z|x) over the candidates: [B, K] -> [B, K]."""
  return tf.nn.log_softmax(relevance, axis=-1)


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


@dataclasses.dataclass(frozen=True)
class MarginalLoss:
  """The mean over a batch of a loss that sums over candidates.

  Attributes:
    of_examples: f(x, z) [B, K], log p(y_j|z,x) [B, K, M], weights [B, M] -> [B].
    over_masks: the mean is over masks instead of examples.
  """
  of_examples: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
  over_masks: bool = False

  def __call__(self, relevance: tf.Tensor, mask_log_probs: tf.Tensor, weights: tf.Tensor,
               masks: tf.Tensor | None = None) -> tf.Tensor:
    """The mean loss, a scalar.

    Of a part of a batch, `masks` is how many masks a part has in the mean: then the mean
    over all parts is the loss of the whole batch. None counts them here.
    """
    each = self.of_examples(relevance, mask_log_probs, weights)
    if not self.over_masks:
      return tf.reduce_mean(each)
    return tf.reduce_sum(each) / (tf.reduce_sum(weights) if masks is None else masks)


JOINT = MarginalLoss(joint_loss)
PER_MASK = MarginalLoss(per_mask_loss, over_masks=True)


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
  found = tf.reduce_any(correct, -1)
  # The lowest number instead of minus infinity, whose gradient would be NaN.
  lowest = logits.dtype.min
  of_correct = tf.reduce_logsumexp(tf.where(correct, logits, lowest), -1)
  of_all = tf.reduce_logsumexp(tf.where(candidates, logits, lowest), -1)
  return tf.where(found, of_all - of_correct, 0.0)
