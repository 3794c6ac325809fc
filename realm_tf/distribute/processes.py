"""The processes that train together, and what they agree on.

Shape letters: J replicas.
"""

import contextlib
import re
from typing import Iterator

import tensorflow as tf

from realm_tf.distribute.strategy import is_tpu
from realm_tf.errors import UserError

# What a collective fails with where one of the processes has gone.
_OTHERS_FAILED = (tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
                  tf.errors.UnavailableError, tf.errors.DeadlineExceededError)


def num_processes(strategy: tf.distribute.Strategy) -> int:
  """How many processes train together."""
  replicas = strategy.num_replicas_in_sync
  # TensorFlow's default strategy, of one replica, does not name its devices.
  return 1 if replicas == 1 else replicas // len(strategy.extended.worker_devices)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process writes what all of them make: worker 0, or the only one."""
  resolver = strategy.cluster_resolver
  return resolver is None or is_tpu(strategy) or not resolver.task_id


def process_index(strategy: tf.distribute.Strategy) -> int:
  """Which process this is, from 0."""
  return 0 if is_chief(strategy) else strategy.cluster_resolver.task_id


@contextlib.contextmanager
def naming_who_failed() -> Iterator[None]:
  """Of processes that train together: `UserError` where another one has failed or gone."""
  try:
    yield
  except _OTHERS_FAILED as error:
    raise UserError("another of the processes that train together has failed or is gone "
                    f"({_what_failed(str(error.message))}); run the same command in all of "
                    "them again") from error


def _what_failed(message: str) -> str:
  """What TensorFlow says of it, and of which worker, if it says that."""
  reason = re.sub(r"^({{.*?}} |Collective ops is aborted by: |Error reported from \S+ )*", "",
                  message.strip()).splitlines() or ["TensorFlow does not say why"]
  worker = re.search(r"/job:worker/(?:replica:\d+/)?task:(\d+)", message)
  said = reason[0][:200].rstrip(":")  # before a list of lines
  if not worker and "coordinationservice" in message.lower().replace(" ", ""):
    return f"worker 0: {said}"  # which has that service
  return (f"worker {worker[1]}: " if worker else "") + said


class SingleProcess:
  """Agreement among the processes that train together, where there is only one.

  Only processes that share state need to agree: an index that is spread over them must be
  swapped in all of them at the same step. All processes call these methods at the same
  points of the program; see `ProcessGroup`.
  """

  def all_agree(self, flag: bool) -> bool:
    """Whether `flag` is true in all processes."""
    return flag

  def broadcast(self, value: int) -> int:
    """The value that process 0, the chief, has."""
    return value


SINGLE_PROCESS = SingleProcess()


class ProcessGroup(SingleProcess):
  """The processes of a strategy, which agree by a collective sum.

  Its methods raise `UserError` where another process has failed meanwhile.
  """

  def __init__(self, strategy: tf.distribute.Strategy):
    self._strategy = strategy
    self._total = tf.function(lambda value: strategy.reduce(
        tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(value,)), axis=None),
        input_signature=[tf.TensorSpec([], tf.int64)])

  def all_agree(self, flag: bool) -> bool:
    return self._sum(int(not flag)) == 0

  def broadcast(self, value: int) -> int:
    summand = value if is_chief(self._strategy) else 0
    return self._sum(summand) // len(self._strategy.extended.worker_devices)

  def _sum(self, value: int) -> int:
    """Over all replicas."""
    with naming_who_failed():
      return int(self._total(tf.constant(value, tf.int64)))


def process_group(strategy: tf.distribute.Strategy) -> SingleProcess:
  """The processes that the strategy trains in, which may be this one only."""
  return ProcessGroup(strategy) if num_processes(strategy) > 1 else SINGLE_PROCESS
