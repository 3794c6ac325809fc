"""What the curves of pre-training show of a batch, besides its loss.

Shape letters: B batch, K candidates, M masks.
"""

import tensorflow as tf

from realm_tf.distribute.shares import Metrics
from realm_tf.models import losses


def gauges(scores: tf.Tensor, log_probs: tf.Tensor, weights: tf.Tensor, masks: tf.Tensor
           ) -> Metrics:
  """Scalars of f(x, z) [B, K], log p(y_j|z,x) [B, K, M] and weights [B, M].

  `masks` is how many masks the means over masks are of.
  """
  prior = tf.nn.softmax(scores)  # [B, K]
  utility = losses.retrieval_utility(log_probs, weights)  # [B, K - 1]
  share = prior[:, 1:] / tf.reduce_sum(prior[:, 1:], 1, keepdims=True)
  entropy = -tf.reduce_sum(prior * tf.math.log(prior + 1e-20), 1)
  return {
      "retrieval_utility": tf.reduce_mean(tf.reduce_sum(share * utility, 1)),
      "best_retrieval_utility": tf.reduce_mean(tf.reduce_max(utility, 1)),
      "null_probability": tf.reduce_mean(prior[:, 0]),
      "prior_entropy": tf.reduce_mean(entropy),
      "mask_log_prob_null": tf.reduce_sum(log_probs[:, 0] * weights) / masks,
  }


def gradient_norms(name: str, norm: tf.Tensor, of_parts: dict[str, tf.Tensor]) -> Metrics:
  """The norm of the gradient of a model, and those of its parts where it has several."""
  name = f"{name}_gradient_norm"
  parts = {f"{name}@{part}": value for part, value in of_parts.items()}
  return {name: norm, **(parts if len(parts) > 1 else {})}
