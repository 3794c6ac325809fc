"""The loss of a batch as a sum over all documents, and what a truncation leaves of it.

Plain numbers: towers and encoder have been run. Shape letters: B batch, C documents in the
sum, K candidates, M masks, D projection, N blocks.
"""

import dataclasses
from typing import Callable

import numpy as np
import tensorflow as tf

# loss(scores [B, C], log_probs [B, C, M], weights [B, M]) -> the mean loss of the batch.
Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class FullSum:
  """All that the loss of a batch knows of the documents, as fresh towers see them."""
  rows: np.ndarray  # [C] int32, ascending; the last is the null document
  queries: np.ndarray  # [B, D]
  documents: np.ndarray  # [C, D]
  scores: np.ndarray  # [B, C] float64: f(x, z); minus infinity where z is not in the sum
  log_probs: np.ndarray  # [B, C, M]: log p(y_j|z,x)
  weights: np.ndarray  # [B, M]
  log_total: np.ndarray  # [B]: log of the sum of exp f(x, z) over all that is not banned

  def prior(self) -> np.ndarray:
    """p(z|x) under the softmax over the whole corpus: [B, C]."""
    return np.exp(self.scores - self.log_total[:, None])

  def posterior(self) -> np.ndarray:
    """p(z|x, y) under the sum: [B, C]."""
    joint = self.scores + np.einsum("bcm,bm->bc", self.log_probs, self.weights)
    return np.exp(joint - log_sum_exp(joint)[:, None])

  def score_gradient(self, loss: Loss, candidates: np.ndarray | None = None) -> np.ndarray:
    """g(x, z), [B, C], of the sum over all C, or over candidates [B, K] alone."""
    columns = (np.broadcast_to(np.arange(len(self.rows)), self.scores.shape)
               if candidates is None else self.columns(candidates))
    owner = np.arange(len(columns))[:, None]
    scores = tf.constant(self.scores[owner, columns])
    with tf.GradientTape() as tape:
      tape.watch(scores)
      value = loss(scores, tf.constant(self.log_probs[owner, columns], tf.float64),
                   tf.constant(self.weights, tf.float64))
    full = np.zeros(self.scores.shape)
    full[owner, columns] = tape.gradient(value, scores)
    return full

  def columns(self, candidates: np.ndarray) -> np.ndarray:
    """Where rows [B, K] stand among `rows`: [B, K]."""
    columns = np.searchsorted(self.rows, candidates)
    if not (self.rows[np.minimum(columns, len(self.rows) - 1)] == candidates).all():
      raise ValueError("a candidate is not in the sum")
    return columns

  def share(self, mass: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """How much of a distribution [B, C] the candidates [B, K] hold: [B]."""
    return np.take_along_axis(mass, self.columns(candidates), 1).sum(1)


def allowed_scores(queries: np.ndarray, documents: np.ndarray, banned: np.ndarray
                    ) -> np.ndarray:
  """f(x, z) of all documents, minus infinity where banned: [B, N + 1] float64."""
  scores = queries.astype(np.float64) @ documents.T.astype(np.float64)
  owner, place = np.nonzero(banned >= 0)
  scores[owner, banned[owner, place]] = -np.inf
  return scores


def best_candidates(scores: np.ndarray, count: int) -> np.ndarray:
  """The null document and the `count` - 1 best blocks of [B, N + 1] scores: [B, count]."""
  null = np.full([len(scores), 1], scores.shape[1] - 1)
  order = np.argsort(-scores[:, :-1], 1, kind="stable")
  return np.concatenate([null, order[:, :count - 1]], 1)


def log_sum_exp(values: np.ndarray) -> np.ndarray:
  """[B, C] -> [B], of the same float type; some value of each row must be finite."""
  most = values.max(1, keepdims=True)
  return (most + np.log(np.exp(values - most).sum(1, keepdims=True)))[:, 0]


def entropy(probabilities: np.ndarray) -> np.ndarray:
  """In nats: [B, C] -> [B]."""
  logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
  return -(probabilities * logs).sum(1)
