"""Which of the rows that were found are returned.

Shape letters: B batch, K results, C candidates, E banned rows.
"""

import tensorflow as tf


def first_of(scores: tf.Tensor, rows: tf.Tensor, passed_over: tf.Tensor, k
             ) -> tuple[tf.Tensor, tf.Tensor]:
  """The first K of [B, C] scores and rows that are not passed over, in their order.

  Raises:
    tf.errors.InvalidArgumentError: there are fewer.
  """
  free = tf.cast(~passed_over, tf.int32)
  with tf.control_dependencies([tf.debugging.assert_greater_equal(
      tf.reduce_sum(free, 1), k,
      "k is more than the rows left to a query, less the banned ones")]):
    _, places = tf.math.top_k(free, k)  # which keeps the order of equals
  return (tf.gather(scores, places, batch_dims=1), tf.gather(rows, places, batch_dims=1))


def best_of(scores: tf.Tensor, rows: tf.Tensor, k, banned: tf.Tensor
            ) -> tuple[tf.Tensor, tf.Tensor]:
  """The best K of [B, C] rows that are not banned, nor -1.

  Equal scores stand in the order of their rows, and `top_k` keeps that order. Rows in
  `banned` are [B, E].
  """
  most = tf.minimum(k + tf.shape(banned)[1], tf.shape(scores)[1])
  scores, places = tf.math.top_k(scores, most)
  rows = tf.gather(rows, places, batch_dims=1)
  is_banned = tf.reduce_any(
      tf.equal(rows[:, :, None], tf.cast(banned, tf.int32)[:, None]), 2)
  return first_of(scores, rows, is_banned | tf.less(rows, 0), k)
