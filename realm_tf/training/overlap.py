"""Retrieval and learning: one after the other, or side by side in one graph.

Side by side, the candidates of the next batch are found while the present one is learnt
from. Nothing in the graph leads from one to the other, so TensorFlow runs both at a time:
where GPUs learn, the host searches meanwhile. There is no thread of ours; what fails
surfaces where the step was called. Variables are read and written in the order of the
program, so the next batch's queries are embedded before the update, by weights that are one
step older than those which learn from it. What is chosen for the next batch is in a
variable, and so in every checkpoint.

Shape letters: B batch, K candidates.
"""

import time
from typing import Any, Callable, Iterable, Iterator

import tensorflow as tf

from realm_tf.distribute.shares import Metrics

Feed = Iterable[Any]
Choose = Callable[[Any], tf.Tensor]  # a batch -> its candidates, [B, K] rows
Learn = Callable[[Any, tf.Tensor], Metrics]  # a batch and its candidates


def steps(choose: Choose, learn: Learn, batches: tf.data.Dataset,
          chosen: tf.Variable | None, is_first: bool
          ) -> tuple[Feed, Callable[[Any], Metrics]]:
  """What the loop feeds into each step, and the step.

  Args:
    choose, learn: the two halves of a step.
    batches: one per step, and one more.
    chosen: [B, K] int32, where the candidates of the next batch are kept; None if they are
      not to be chosen ahead.
    is_first: whether nothing has been chosen yet.
  """
  if chosen is None:
    return batches, one_after_the_other(choose, learn, batches.element_spec)
  if is_first:
    chosen.assign(tf.function(choose)(next(iter(batches))))
  return (with_following(batches),
          side_by_side(choose, learn, batches.element_spec, chosen))


def one_after_the_other(choose: Choose, learn: Learn, spec: Any) -> Callable[[Any], Metrics]:
  """A step that takes a batch of `spec`: chooses, then learns.

  Its `retrieval_wait_seconds` is how long the choice took.
  """
  @tf.function(input_signature=[spec])
  def step(batch: Any) -> Metrics:
    begun = _clock()
    rows = choose(batch)
    with tf.control_dependencies([rows]):
      waited = _clock() - begun
    return learn(batch, rows) | {"retrieval_wait_seconds": waited}

  return step


def side_by_side(choose: Choose, learn: Learn, spec: Any, chosen: tf.Variable
                 ) -> Callable[[tuple[Any, Any]], Metrics]:
  """A step that takes a batch and the one that follows; see `with_following`.

  Args:
    choose, learn: the two halves.
    spec: of a batch.
    chosen: [B, K] int32, the candidates of the batch; after the step, of the one that
      follows.

  Returns:
    The step. Its `retrieval_wait_seconds` is by how much choosing took longer than the
    loss and its gradient.
  """
  @tf.function(input_signature=[(spec, spec)])
  def step(batches: tuple[Any, Any]) -> Metrics:
    batch, following = batches
    rows = choose(following)  # before `learn`, which writes what this reads
    metrics = learn(batch, chosen.read_value())
    chosen.assign(rows)
    with tf.control_dependencies(list(metrics.values())):
      learnt = _clock()
    with tf.control_dependencies([rows, learnt]):
      waited = _clock() - learnt
    return metrics | {"retrieval_wait_seconds": waited}

  return step


def _clock() -> tf.Tensor:
  """Seconds; TensorFlow's own clock refuses to run where operations are deterministic."""
  return tf.ensure_shape(tf.numpy_function(time.monotonic, [], tf.float64), [])


def with_following(batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
  """Each batch with the one that follows; the last one, which has none, is left out."""
  iterator = iter(batches)
  batch = next(iterator, None)
  for following in iterator:
    yield batch, following
    batch = following
