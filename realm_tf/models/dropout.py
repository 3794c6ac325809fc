"""Dropout (Srivastava et al. 2014, JMLR 15) as in BERT, repeated by a run that was stopped.

A BERT drops out while it is trained and at no other time: not where an index is embedded or
searched, not in evaluation and not in an export. In Keras's way that is where a model is
called with `training=True`, as `fit` does; its draws then come from TensorFlow's global
generator. In the stages it is inside `drawn(seed, step)`; the draws are then a function of
these, of the tokens and of the replica: so the same tokens are twice given the same mask in a
step, whether their layers or they themselves are computed again for the gradient. Where rows
are padded, as on GPUs, they are a function of the padded length too. XLA draws otherwise than
stock operations (`config.compile`), and so does each kind of device.

Attention probabilities are not dropped, as they are in BERT: the op that computes them
(`ops.transformer`) keeps none of them.

Shape letters: U rows, H hidden, B batch, T tokens.
"""

import contextlib
import threading
from typing import Iterator

import tensorflow as tf

_training = threading.local()  # the thread that refreshes an index does not train


@contextlib.contextmanager
def drawn(seed: int, step: tf.Tensor | tf.Variable) -> Iterator[None]:
  """Inside, models that have dropout drop out; on each replica, within its function.

  Args:
    seed: of the run.
    step: scalar, whole: how many steps were done, such as an optimizer's `iterations`.
  """
  before = getattr(_training, "key", None)
  _training.key = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
  try:
    yield
  finally:
    _training.key = before


@contextlib.contextmanager
def paused() -> Iterator[None]:
  """Inside, nothing is dropped out, though it is inside `drawn`."""
  before = getattr(_training, "key", None)
  _training.key = None
  try:
    yield
  finally:
    _training.key = before


def is_training(training: bool | None) -> bool:
  """Whether what is called now is trained: as Keras says; if it says None, inside `drawn`."""
  return getattr(_training, "key", None) is not None if training is None else training


def seeds(ids: tf.Tensor, training: bool | None, count: int) -> tf.Tensor | None:
  """A seed for each place in a model where something is dropped: [count, 2] int32.

  None where nothing is, since it is not trained.

  Args:
    ids: [B, T] int32, the tokens.
    training: Keras's; None: it is, inside `drawn`.
    count: of the places.
  """
  if not is_training(training):
    return None
  key = getattr(_training, "key", None)
  if key is None:
    key = tf.random.uniform([2], maxval=tf.int64.max, dtype=tf.int64)
  weights = tf.range(1, tf.shape(ids, tf.int64)[1] + 1)
  tokens = tf.reduce_sum(tf.cast(ids, tf.int64) * weights, 1)
  tokens = tf.reduce_sum(tokens * tf.range(1, tf.size(tokens, tf.int64) + 1))
  replica = tf.distribute.get_replica_context()
  for part in (tokens, replica.replica_id_in_sync_group if replica else 0):
    key = tf.random.experimental.stateless_fold_in(key, tf.cast(part, tf.int64))
  return tf.random.experimental.stateless_split(tf.cast(key, tf.int32), count)


def dropped(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
  """[U, H] of which a share `rate` is 0, and the rest larger by as much; seed [2] int32."""
  is_kept = tf.random.stateless_uniform(tf.shape(x), seed) >= rate
  scale = tf.constant(1 / (1 - rate), x.dtype)
  return tf.ensure_shape(tf.where(is_kept, x * scale, tf.zeros([], x.dtype)), x.shape)
