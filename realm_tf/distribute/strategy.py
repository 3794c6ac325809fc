"""The strategy (tf.distribute) that trains a model, by name."""

import concurrent.futures
import contextlib
import json
import os
import signal
import threading
from typing import Callable, Iterator, TypeVar

import tensorflow as tf
from absl import logging

from realm_tf.distribute.slurm import set_tf_config
from realm_tf.errors import UserError

HEARTBEAT_SECONDS = 100  # without a sign of life, and a process counts as dead
START_SECONDS = 600  # that processes wait for each other in the beginning
Made = TypeVar("Made")


def make_strategy(kind: str, tpu: str = "local", zone: str | None = None,
                  project: str | None = None, heartbeat_seconds: int = HEARTBEAT_SECONDS
                  ) -> tf.distribute.Strategy:
  """Makes the strategy of that name; a model made in its scope is trained by it.

  Args:
    kind: "one_device"; "mirrored", all GPUs of this machine, or all logical CPU devices
      where there is none; "multi_worker", the processes that TF_CONFIG names, or SLURM's
      tasks; "tpu".
    tpu, zone, project: of `TPUClusterResolver`: the TPU's name or address, "local" on a TPU
      VM, and where Google's cloud has it.
    heartbeat_seconds: for how long one of several processes may give no sign of life before
      it counts as dead.

  Raises:
    UserError: no such kind or TPU, or TF_CONFIG does not say which processes there are.
  """
  if kind == "one_device":
    return tf.distribute.get_strategy()
  if kind == "mirrored":
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
  if kind == "multi_worker":
    set_tf_config()
    workers = _check_tf_config()
    _wait_for_heartbeats(len(workers), heartbeat_seconds)
    with _waiting_for(workers):
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


def outside_scopes(make: Callable[[], Made]) -> Made:
  """What `make` makes where no strategy is in scope: variables of one copy, not mirrored.

  A scope is in force in the thread that entered it, and there is no public way out of it.
  """
  if not tf.distribute.has_strategy():
    return make()
  with concurrent.futures.ThreadPoolExecutor(1) as thread:
    return thread.submit(make).result()


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
  """Whether XLA compiles what runs on the replicas, which then needs fixed shapes."""
  return isinstance(strategy, tf.distribute.TPUStrategy)


def _check_tf_config() -> list[str]:
  """The addresses of all processes."""
  try:
    config = json.loads(os.environ.get("TF_CONFIG", ""))
    workers, task = config["cluster"]["worker"], config["task"]
    if task["type"] == "worker" and 0 <= task["index"] < len(workers):
      return list(workers)
  except (ValueError, RecursionError, LookupError, TypeError):
    pass
  raise UserError(
      'TF_CONFIG: expected {"cluster": {"worker": ["host:port", ...]}, "task": '
      '{"type": "worker", "index": N}}, N being which of the workers this process is')


@contextlib.contextmanager
def _waiting_for(workers: list[str]) -> Iterator[None]:
  """Lets the system end the process where they do not come, or where it is told to end.

  TensorFlow waits for an hour, in a call in which no other thread of Python runs and no
  signal is seen. Nothing is written before all are there, so there is nothing to put away.
  """
  logging.info("waiting for all workers: %s; without them this process ends in %d s (alarm)",
               ", ".join(workers), START_SECONDS)
  if threading.current_thread() is not threading.main_thread():
    yield  # signals are not its business
    return
  handlers = {number: signal.signal(number, signal.SIG_DFL)
              for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
  signal.alarm(START_SECONDS)
  try:
    yield
  finally:
    signal.alarm(0)
    for number, handler in handlers.items():
      signal.signal(number, handler)


def _wait_for_heartbeats(workers: int, seconds: int) -> None:
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
      heartbeat_timeout_in_ms=1000 * seconds)
