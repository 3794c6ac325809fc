"""One training step on any number of devices (tf.distribute).

A batch is a function of seed and step. So each process makes the whole batch and each
replica takes its share: nothing is handed around, and a run sees the same batches
whatever the number of replicas. A replica's loss is a mean over its share; gradients
and metrics are averaged over the replicas, which makes them those of the whole batch.

Shape letters: J replicas, B batch, D vector size.
"""

from typing import Any, Callable

import tensorflow as tf

from realm_tf.errors import UserError

Metrics = dict[str, tf.Tensor]
_MEAN, _SUM = tf.distribute.ReduceOp.MEAN, tf.distribute.ReduceOp.SUM


def share_size(strategy: tf.distribute.Strategy, batch_size: int, parts: int = 1) -> int:
  """How many examples of a batch are a replica's.

  Raises:
    UserError: they are not the same for each, or cannot be cut into parts.
  """
  count = strategy.num_replicas_in_sync
  if batch_size % (count * parts):
    raise UserError(f"batch_size: {batch_size} is not a multiple of {count} replicas x "
                    f"{parts} parts (accumulate)")
  return batch_size // count


def run_on_shares(strategy: tf.distribute.Strategy, step: Callable[[Any], Metrics],
                  batch: Any, batch_size: int) -> Metrics:
  """Gives each replica its share of the whole batch; to be called in a graph.

  Args:
    strategy: of the model.
    step: runs on each replica and returns metrics, scalars that are means over the share,
      or [B / J, ...], a row for each example.
    batch: tensors with an example per row, any structure.
    batch_size: B.

  Returns:
    The metrics of the whole batch; those by example only of this process's replicas.
  """
  count = strategy.num_replicas_in_sync
  if count == 1:
    return step(batch)
  names = list[str]()

  def on_replica(batch: Any) -> tuple[tf.Tensor, Metrics]:
    metrics = step(part_of(batch, _replica(), batch_size // count))
    names[:] = [name for name, value in metrics.items() if value.shape.rank == 0]
    scalars = tf.stack([metrics.pop(name) for name in names])  # one collective for all
    return scalars, metrics

  scalars, by_example = strategy.run(on_replica, args=(batch,))
  means = tf.unstack(strategy.reduce(_MEAN, scalars, axis=None))
  return dict(zip(names, means, strict=True)) | {
      name: tf.concat(strategy.experimental_local_results(value), 0)
      for name, value in by_example.items()}


def map_shares(strategy: tf.distribute.Strategy, compute: Callable[[Any], tf.Tensor],
               batch: Any) -> tf.Tensor:
  """Maps each replica's share of a batch, and puts what comes out together again.

  As `run_on_shares`, but from [B / J, ...] to [B / J, ...]; each process gets all [B, ...].
  A batch that cannot be shared out evenly is mapped as a whole.
  """
  count, rows = strategy.num_replicas_in_sync, tf.nest.flatten(batch)[0].shape[0]
  if count == 1 or rows is None or rows % count:
    return compute(batch)

  def on_replica(batch: Any) -> tf.Tensor:
    return compute(part_of(batch, _replica(), rows // count))

  return strategy.gather(strategy.run(on_replica, args=(batch,)), axis=0)


def replicated(strategy: tf.distribute.Strategy, step: Callable[[Any], Metrics],
               element_spec: Any, batch_size: int, parts: int = 1
               ) -> Callable[[Any], Metrics]:
  """`run_on_shares` as a graph that takes the whole batch.

  Args:
    strategy, step, batch_size: see there.
    element_spec: of the batches.
    parts: into how many parts the step cuts its share.

  Raises:
    UserError: B is not a multiple of replicas and parts.
  """
  share_size(strategy, batch_size, parts)
  return tf.function(lambda batch: run_on_shares(strategy, step, batch, batch_size),
                     input_signature=[element_spec])


def _replica() -> int | tf.Tensor:
  return tf.distribute.get_replica_context().replica_id_in_sync_group


def part_of(batch: Any, number: int | tf.Tensor, size: int | tf.Tensor) -> Any:
  """Examples [number * size, (number + 1) * size) of each tensor of a batch."""
  def cut(rows: Any) -> Any:
    if isinstance(rows, tf.RaggedTensor):
      return rows[number * size:(number + 1) * size]
    # XLA knows the shape of a slice by its size, not by its two ends.
    others = rows.shape.rank - 1
    return tf.slice(rows, [number * size] + [0] * others, [size] + [-1] * others)

  return tf.nest.map_structure(cut, batch)


def mean_over_parts(compute: Callable[[Any], Any], batch: Any, size: int,
                    parts: int) -> Any:
  """The first that `over_parts` returns, where `compute` returns nothing else."""
  return over_parts(lambda part: (compute(part), None), batch, size, parts)[0]


def over_parts(compute: Callable[[Any], tuple[Any, tf.Tensor | None]], batch: Any, size: int,
               parts: int) -> tuple[Any, tf.Tensor | None]:
  """Computes on equal parts of the batch, one after the other.

  So memory is that of one part (gradient accumulation).

  Args:
    compute: from a part to gradients and metrics in any structure, of which the mean over
      the parts is taken (a gradient may be None), and a tensor with a row for each example,
      or None. It must not talk to other replicas.
    batch: tensors with an example per row.
    size: of the batch, a multiple of `parts`.
    parts: how many.

  Returns:
    The means, and the rows of all parts after each other.
  """
  if parts == 1:
    return compute(batch)
  size = size // parts
  first, rows = compute(part_of(batch, 0, size))
  flat = [value if value is None else tf.convert_to_tensor(value)
          for value in tf.nest.flatten(first)]
  present = [i for i, value in enumerate(flat) if value is not None]
  row_arrays = [] if rows is None else [tf.TensorArray(rows.dtype, parts).write(0, rows)]

  def add(number: tf.Tensor, row_arrays: list[tf.TensorArray], *sums: tf.Tensor):
    values, rows = compute(part_of(batch, number, size))
    values = tf.nest.flatten(values)
    return (number + 1, [array.write(number, rows) for array in row_arrays],
            *(total + tf.convert_to_tensor(values[i]) for total, i in zip(sums, present)))

  _, row_arrays, *sums = tf.while_loop(lambda number, *_: number < parts, add,
                                       [tf.constant(1), row_arrays,
                                        *(flat[i] for i in present)],
                                       parallel_iterations=1)
  for i, total in zip(present, sums):
    flat[i] = total / parts
  means = tf.nest.pack_sequence_as(first, flat)
  return means, None if rows is None else tf.reshape(
      row_arrays[0].stack(), tf.concat([[size * parts], tf.shape(rows)[1:]], 0))


# What follows is called on each replica, inside a step.


def all_sum(values: Any) -> Any:
  """The sum over all replicas, in any structure of tensors; has a gradient."""
  context = tf.distribute.get_replica_context()
  return values if context.num_replicas_in_sync == 1 else context.all_reduce(_SUM, values)


def all_mean(values: Any) -> Any:
  """The mean over all replicas, in any structure of tensors; has a gradient."""
  context = tf.distribute.get_replica_context()
  return values if context.num_replicas_in_sync == 1 else context.all_reduce(_MEAN, values)


def own_first(values: tf.Tensor) -> tf.Tensor:
  """All replicas' [B, ...] tensors after each other, this one's first: [J * B, ...].

  It is a sum over replicas of tensors that are 0 but for the own share: the gradient is
  then right by itself, the sum of what all replicas make of this one's values.
  """
  context = tf.distribute.get_replica_context()
  count = context.num_replicas_in_sync
  if count == 1:
    return values
  size, replica = tf.shape(values)[0], context.replica_id_in_sync_group
  # Rolled into place, since XLA knows of padding only what is the same on all replicas.
  padded = tf.pad(values, [[0, (count - 1) * size]] + [[0, 0]] * (values.shape.rank - 1))
  everything = all_sum(tf.roll(padded, replica * size, 0))
  return tf.roll(everything, -replica * size, 0)
