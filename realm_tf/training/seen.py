"""What a step learnt from besides its batch: kept until the next, for when it goes wrong.

Shape letters: B batch, b examples of this process's replicas, K candidates.
"""

import numpy as np
import tensorflow as tf

from realm_tf.distribute.processes import num_processes, process_index


class SeenCandidates:
  """The candidates of the last step and their scores, as it saw them."""

  def __init__(self, strategy: tf.distribute.Strategy, batch_size: int, count: int):
    """Nothing has been seen. `batch_size` is B, `count` K."""
    own = batch_size // num_processes(strategy)
    self._examples = np.arange(own) + own * process_index(strategy)
    with tf.device("CPU"):
      self._rows = tf.Variable(tf.fill([batch_size, count], -1), trainable=False,
                               name="seen_rows")
      self._scores = tf.Variable(tf.fill([own, count], np.nan), trainable=False,
                                 name="seen_scores")

  def note(self, rows: tf.Tensor, scores: tf.Tensor) -> None:
    """In the graph of a step: rows [B, K] int32, f(x, z) [b, K] float32."""
    self._rows.assign(rows)
    self._scores.assign(scores)

  def __call__(self) -> dict[str, np.ndarray]:
    """`candidates.rows` [b, K], `.scores` [b, K], `.examples` [b]: which of the batch."""
    return {"candidates.rows": self._rows.numpy()[self._examples],
            "candidates.scores": self._scores.numpy(),
            "candidates.examples": self._examples}


def in_place(values: tf.Tensor, places: tf.Tensor, size: int, parts: int) -> tf.Tensor:
  """[size, ...] of which `mean_over_parts` makes all values, each in its place.

  Args:
    values: of the examples of one of the parts.
    places: which of the `size` examples they are.
    size: of all parts.
    parts: how many.
  """
  shape = tf.concat([[size], tf.shape(values)[1:]], 0)
  return tf.scatter_nd(places[:, tf.newaxis], values * parts, shape)
