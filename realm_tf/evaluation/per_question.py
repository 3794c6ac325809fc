"""A number that a request has once for all of its questions, or for each of them."""

import tensorflow as tf


def checked_numbers(questions: tf.Tensor, value: tf.Tensor | int, name: str, least: int,
                    most: int, note: str = "") -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Questions [B], the value for each of them [B], and the largest of these.

  Nothing is done before they are known to be in their limits, and one, or one for each.
  """
  values = tf.reshape(tf.convert_to_tensor(value), [-1])
  size, number = tf.shape(questions)[0], tf.size(values)
  with tf.control_dependencies([
      tf.debugging.Assert(tf.reduce_all((values >= least) & (values <= most)), [
          f"{name} must be from {least} to {most}{note}, but is", values]),
      tf.debugging.Assert((number == 1) | (number == size), [
          f"{name} must be one number, or one for each question, but there are", number,
          "for", size])]):
    values, questions = tf.identity(values), tf.identity(questions)
  return (questions, tf.broadcast_to(values, [size]),
          tf.reduce_max(tf.concat([values, [least]], 0)))
