"""One training step on any number of devices (tf.distribute).

A batch is a function of seed and step. So each process makes the whole batch and each
replica takes its share: nothing is handed around, and a run sees the same batches
whatever the number of replicas. A replica's loss is a mean over its share; gradients
and metrics are averaged over the replicas, which makes them those of the whole batch.

Shape letters: R replicas, B batch, D size.
"""

import contextlib
import json
import os
from typing import Any, Callable, Iterator

import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.index.distributed import num_processes
from realm_tf.index.freshness import ALONE, Alone

Metrics = dict[str, tf.Tensor]
_MEAN, _SUM = tf.distribute.ReduceOp.MEAN, tf.distribute.ReduceOp.SUM
HEARTBEAT_SECONDS = 100  # without a sign of life, and a process counts as dead
# What a collective fails with where one of the processes has gone.
_OTHERS_FAILED = (tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
                  tf.errors.UnavailableError, tf.errors.DeadlineExceededError)


def make_strategy(kind: str, tpu: str = "local", zone: str | None = None,
                  project: str | None = None) -> tf.distribute.Strategy:
  """Makes the strategy of that name; a model made in its scope is trained by it.

  Args:
    kind: "one_device"; "mirrored", all GPUs of this machine, or all logical CPU devices
      where there is none; "multi_worker", the processes that TF_CONFIG names; "tpu".
    tpu, zone, project: of `TPUClusterResolver`: the TPU's name or address, "local" on a TPU
      VM, and where Google's cloud has it.

  Raises:
    UserError: no such kind or TPU, or TF_CONFIG does not say which processes there are.
  """
  if kind == "one_device":
    return tf.distribute.get_strategy()
  if kind == "mirrored":
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
  if kind == "multi_worker":
    _wait_for_heartbeats(workers=_check_tf_config())
    return tf.distribute.MultiWorkerMirroredStrategy()
  if kind == "tpu":
    return _tpu_strategy(tpu, zone, project)
  raise UserError(f"'{kind}': expected one_device, mirrored, multi_worker or tpu")


def _tpu_strategy(name: str, zone: str | None, project: str | None) -> tf.distribute.Strategy:
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name, zone, project)
    if name != "local":
      tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)
  except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
    raise UserError(f"--strategy=tpu: no TPU '{name}' can be had here: "
                    f"{str(error).strip().splitlines()[0][:200]}") from error


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
  """Whether XLA compiles what runs on the replicas, which then needs fixed shapes."""
  return isinstance(strategy, tf.distribute.TPUStrategy)


def _check_tf_config() -> int:
  """How many processes there are."""
  try:
    found = json.loads(os.environ.get("TF_CONFIG", ""))
    workers, task = found["cluster"]["worker"], found["task"]
    if task["type"] == "worker" and 0 <= task["index"] < len(workers):
      return len(workers)
  except (json.JSONDecodeError, KeyError, TypeError):
    pass
  raise UserError(
      'TF_CONFIG: expected {"cluster": {"worker": ["host:port", ...]}, "task": '
      '{"type": "worker", "index": N}}, N being which of the workers this process is')


def _wait_for_heartbeats(workers: int) -> None:
  """Lets a process be silent for longer than TensorFlow's 10 s before it counts as dead.

  One that embeds on a busy machine may be, and then all of them end: with an error from
  whatever they wait for together next. There is no public way to say so, but what is
  configured before the strategy is made, it leaves as it is.
  """
  # pylint: disable=import-outside-toplevel
  from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
  from tensorflow.python.eager import context
  context.context().configure_coordination_service(
      "standalone", service_leader="/job:worker/replica:0/task:0",
      coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name="worker",
                                                               num_tasks=workers)],
      heartbeat_timeout_in_ms=1000 * HEARTBEAT_SECONDS)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process writes what all of them make: worker 0, or the only one."""
  resolver = strategy.cluster_resolver
  return resolver is None or is_tpu(strategy) or not resolver.task_id


def worker(strategy: tf.distribute.Strategy) -> int:
  """Which process this is."""
  return 0 if is_chief(strategy) else strategy.cluster_resolver.task_id


@contextlib.contextmanager
def naming_who_failed() -> Iterator[None]:
  """Of processes that train together: `UserError` where another one has failed or gone."""
  try:
    yield
  except _OTHERS_FAILED as error:
    raise UserError("another of the processes that train together has failed or is gone "
                    f"({str(error.message).strip().splitlines()[0][:200]}); run the same "
                    "command in all of them again") from error


class Together(Alone):
  """The processes of a strategy; all of them call its methods at the same points.

  Its methods raise `UserError` where another process has failed meanwhile.
  """

  def __init__(self, strategy: tf.distribute.Strategy):
    self._strategy = strategy
    self._total = tf.function(lambda value: strategy.reduce(
        _SUM, strategy.run(tf.identity, args=(value,)), axis=None),
        input_signature=[tf.TensorSpec([], tf.int64)])

  def all(self, flag: bool) -> bool:
    return self._sum(int(not flag)) == 0

  def chief(self, value: int) -> int:
    own = value if is_chief(self._strategy) else 0
    return self._sum(own) // len(self._strategy.extended.worker_devices)

  def _sum(self, value: int) -> int:
    """Over all replicas."""
    with naming_who_failed():
      return int(self._total(tf.constant(value, tf.int64)))


def together(strategy: tf.distribute.Strategy) -> Alone:
  """The processes that the strategy trains in, which may be this one only."""
  return Together(strategy) if num_processes(strategy) > 1 else ALONE


def check_shares(strategy: tf.distribute.Strategy, batch_size: int, parts: int = 1) -> None:
  """Raises `UserError` unless each replica's share of a batch can be cut into parts."""
  count = strategy.num_replicas_in_sync
  if batch_size % (count * parts):
    raise UserError(f"batch_size: {batch_size} is not a multiple of {count} replicas x "
                    f"{parts} parts (accumulate)")


def run_on_shares(strategy: tf.distribute.Strategy, step: Callable[[Any], Metrics],
                  batch: Any, batch_size: int) -> Metrics:
  """Gives each replica its share of the whole batch; to be called in a graph.

  Args:
    strategy: of the model.
    step: runs on each replica and returns metrics, scalars that are means over the share,
      or [B / R, ...], a row for each example.
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

  As `run_on_shares`, but from [B / R, ...] to [B / R, ...]; each process gets all [B, ...].
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
  check_shares(strategy, batch_size, parts)
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
  """The mean of `compute` over equal parts of the batch, one after the other.

  So memory is that of one part (gradient accumulation).

  Args:
    compute: from a part to gradients and metrics in any structure; a gradient may be
      None. It must not talk to other replicas.
    batch: tensors with an example per row.
    size: of the batch, a multiple of `parts`.
    parts: how many.
  """
  if parts == 1:
    return compute(batch)
  size = size // parts
  first = compute(part_of(batch, 0, size))
  flat = [value if value is None else tf.convert_to_tensor(value)
          for value in tf.nest.flatten(first)]
  there = [i for i, value in enumerate(flat) if value is not None]

  def add(number: tf.Tensor, *sums: tf.Tensor):
    values = tf.nest.flatten(compute(part_of(batch, number, size)))
    return number + 1, *(total + tf.convert_to_tensor(values[i])
                         for total, i in zip(sums, there))

  _, *sums = tf.while_loop(lambda number, *_: number < parts, add,
                           [tf.constant(1), *(flat[i] for i in there)],
                           parallel_iterations=1)
  for i, total in zip(there, sums):
    flat[i] = total / parts
  return tf.nest.pack_sequence_as(first, flat)


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
  """All replicas' [B, ...] tensors after each other, this one's first: [R * B, ...].

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
