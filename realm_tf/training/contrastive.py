"""Gradients of a loss over the vectors of a whole batch, whose texts may be read in parts.

Shape letters: B batch.
"""

from typing import Any, Callable, Sequence

import tensorflow as tf

from realm_tf.distribute import shares

Vectors = Sequence[tf.Tensor]  # [B, ..., D] each


def gradients(embed: Callable[[Any], Vectors],
              loss_of: Callable[[Vectors, Any], tuple[tf.Tensor, shares.Metrics]],
              batch: Any, variables: Sequence[tf.Variable], size: int, parts: int
              ) -> tuple[Any, shares.Metrics]:
  """Those of `loss_of(embed(batch), batch)`, and its metrics; called on each replica.

  Args:
    embed: from examples to their vectors, a row for each in all of them.
    loss_of: from the vectors of the whole batch to the loss and what to log.
    batch: tensors with an example per row.
    variables: that `embed` depends on.
    size: B, of this replica.
    parts: read one after the other. Each is embedded twice then, since its loss needs all
      (Gao et al. 2021, GradCache).
  """
  if parts == 1:
    with tf.GradientTape() as tape:
      loss, metrics = loss_of(embed(batch), batch)
    return tape.gradient(loss, variables), metrics
  part = size // parts
  first = embed(shares.part_of(batch, 0, part))  # for its structure alone
  embedded = tf.map_fn(
      lambda number: tuple(embed(shares.part_of(batch, number, part))), tf.range(parts),
      fn_output_signature=tuple(tf.TensorSpec(x.shape, x.dtype) for x in first),
      parallel_iterations=1)
  vectors = [tf.reshape(x, [size, *x.shape[2:]]) for x in embedded]
  with tf.GradientTape() as tape:
    tape.watch(vectors)
    loss, metrics = loss_of(vectors, batch)
  # Times the parts, whose mean is taken below.
  upstream = tuple(g * parts for g in tape.gradient(loss, vectors))

  def gradients_of_part(examples: tuple[Any, Vectors]):
    batch, upstream = examples
    with tf.GradientTape() as tape:
      embedded = tuple(embed(batch))
    return tape.gradient(embedded, variables, upstream)

  return shares.mean_over_parts(gradients_of_part, (batch, upstream), size, parts), metrics
