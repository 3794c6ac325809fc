"""The order of training examples: a function of seed and step, nothing else.

So a run that is resumed at a step sees what an uninterrupted one would have
seen: there is no shuffle buffer whose state would have to be saved.
"""

from typing import Any

import tensorflow as tf


def shuffled_batches(num_examples: int, batch_size: int, seed: int, first_step: int,
                     last_step: int) -> tf.data.Dataset:
  """Yields (step, indices): a scalar int64 and [B] int64, each epoch a permutation.

  Args:
    num_examples: how many there are to choose from.
    batch_size: B; a batch may span two epochs.
    seed: the same seed gives the same order.
    first_step, last_step: the steps to yield, from and up to but without.
  """
  top = tf.constant(num_examples - 1, tf.int64)

  def batch(step: tf.Tensor):
    place = step * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch = place // num_examples
    keys = tf.stack([tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch,
                     tf.zeros_like(epoch)], 1)
    # The raw op takes a key per index; its Python wrapper, one for all.
    return step, tf.raw_ops.RandomIndexShuffle(
        index=place % num_examples, seed=tf.cast(keys, tf.int32), max_index=top, rounds=4)

  return tf.data.Dataset.range(first_step, last_step).map(batch)


def fix_batch_size(batch: Any, batch_size: int) -> Any:
  """Lets the graph know that every tensor of a batch has B rows."""
  return tf.nest.map_structure(
      lambda t: tf.ensure_shape(t, [batch_size, *t.shape[1:]]), batch)


def uniform(step: tf.Tensor, seed: int, size: tf.Tensor) -> tf.Tensor:
  """[size] float32 in [0, 1), a function of seed and step."""
  key = tf.stack([tf.constant(seed, tf.int64), step])
  return tf.random.stateless_uniform([size], key)
