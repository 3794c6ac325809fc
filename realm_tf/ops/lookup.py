"""Rows of a variable, looked up without a copy of all of it."""

import tensorflow as tf


def look_up(table: tf.Tensor | tf.Variable, rows: tf.Tensor) -> tf.Tensor:
  """`tf.gather` of what is not trained and may be large.

  `tf.gather` of a variable is one operation, and tells TensorFlow that the variable is
  written to row by row: from then on each read of all of it (to search it, say) copies it.

  Args:
    table: [N, ...] of any dtype.
    rows: of any shape, integers below N.

  Returns:
    [rows, ...].
  """
  return tf.gather(tf.convert_to_tensor(table), rows)
