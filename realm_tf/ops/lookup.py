"""Rows of a variable, looked up without a copy of all of it."""

import tensorflow as tf


def look_up(table: tf.Tensor | tf.Variable, rows: tf.Tensor) -> tf.Tensor:
  """`tf.gather` of what is not trained and may be large, where it lies.

  `tf.gather` of a variable is one operation, and tells TensorFlow that the variable is
  written to row by row: from then on each read of all of it (to search it, say) copies it.
  As two operations the second would go to another device, if there is a faster one, and the
  table with it.

  Args:
    table: [N, ...] of any dtype.
    rows: of any shape, integers below N.

  Returns:
    [rows, ...].
  """
  if not isinstance(table, tf.Variable):
    return tf.gather(table, rows)
  place = tf.DeviceSpec.from_string(table.device)
  with tf.device(f"/device:{place.device_type}:{place.device_index}"):
    return tf.gather(table.read_value(), rows)
