"""The loop that all stages share: steps, progress, checkpoints, stopping."""

import contextlib
import pathlib
import signal
from typing import Any, Callable, Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.errors import UserError
from realm_tf.progress import progress
from realm_tf.training.log import Log

_RECORDS = 50  # points in a stage's curves, at least
StepFunction = Callable[[Any], dict[str, tf.Tensor]]


class Interrupted(Exception):
  """Training was asked to stop (SIGTERM or Ctrl-C), and its state was saved."""


@contextlib.contextmanager
def stop_requests() -> Iterator[list[int]]:
  """Collects SIGTERM and SIGINT instead of dying in the middle of a step."""
  received: list[int] = []
  old = {number: signal.signal(number, lambda n, _: received.append(n))
         for number in (signal.SIGTERM, signal.SIGINT)}
  try:
    yield received
  finally:
    for number, handler in old.items():
      signal.signal(number, handler)


class Loop:
  """Runs the steps of one stage, from its newest checkpoint on.

  Args:
    name: of the stage, for people.
    folder: for checkpoints and curves.
    steps: where to stop.
    tracked: what the checkpoints hold, by name.
    checkpoint_every: steps; 0 saves only when asked to stop.
  """

  def __init__(self, name: str, folder: pathlib.Path, steps: int,
               tracked: dict[str, Any], checkpoint_every: int):
    self._name, self._steps, self._every = name, steps, checkpoint_every
    self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
    self._manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(step=self._step, **tracked), str(folder / "checkpoints"),
        max_to_keep=2)
    self._stop: list[int] = []
    there = self._checkpoints()
    if there:
      self._restore(there[-1])
      logging.info("%s: going on from step %d", name, self.first_step)
    self.log = Log(folder, self.first_step)

  @property
  def first_step(self) -> int:
    """The step to begin with: 0, or where the newest checkpoint stands."""
    return int(self._step)

  def stopping(self) -> bool:
    """Whether SIGTERM or Ctrl-C has come: nobody should wait for anything any more."""
    return bool(self._stop)

  def run(self, batches: tf.data.Dataset, step_function: StepFunction, *,
          before_step: Callable[[int], dict[str, float]] = lambda step: {},
          on_record: Callable[[int], None] = lambda step: None) -> None:
    """Trains to the last step.

    Args:
      batches: one per step, beginning with `first_step`.
      step_function: one step of training; its metrics are scalars.
      before_step: runs on this thread before each step; may add metrics.
      on_record: runs after each record of the curves.

    Raises:
      UserError: the loss is not finite.
      Interrupted: asked to stop; the state was saved.
    """
    first = self.first_step
    record_every = max(1, (self._steps - first) // _RECORDS)
    with stop_requests() as self._stop, progress(self._steps - first, self._name) as bar:
      for step, batch in zip(range(first, self._steps), batches):
        self.log.add(before_step(step))
        if self._stop:
          self._interrupt(step)
        metrics = {name: value.numpy() for name, value in step_function(batch).items()}
        self._check(metrics["loss"], step)
        self.log.add(metrics)
        self._step.assign(step + 1)
        bar.update()
        if (step + 1) % record_every == 0 or step + 1 == self._steps:
          means = self.log.record(step + 1)
          bar.postfix(loss=f"{means['loss']:.3f}")
          on_record(step + 1)
        if self._stop:
          self._interrupt(step + 1)
        if self._every and (step + 1) % self._every == 0:
          self._save(step + 1)
    self.log.close()

  def _interrupt(self, step: int) -> None:
    self._save(step)
    self.log.close()
    raise Interrupted(f"stopped at step {step} of {self._steps} of {self._name}; "
                      "its state is saved: run the same command to go on")

  def _save(self, step: int) -> None:
    try:
      self._manager.save(checkpoint_number=step)
    except tf.errors.OpError as error:
      raise UserError(f"{self._manager.directory}: the checkpoint of step {step} cannot be "
                      f"written ({_first_line(error)}); the one before is unchanged: make "
                      "room, then run the same command") from error

  def _checkpoints(self) -> list[str]:
    """Oldest first; one whose files were deleted is none."""
    return [path for path in self._manager.checkpoints
            if pathlib.Path(f"{path}.index").exists()]

  def _restore(self, path: str) -> None:
    try:
      self._manager.checkpoint.restore(path)
    except (tf.errors.OpError, ValueError) as error:
      before = self._checkpoints()[:-1]
      way_out = (f"to go on from {before[-1]}, delete {path}.*" if before
                 else f"delete {self._manager.directory} to begin anew")
      raise UserError(f"{path}: cannot be read: damaged, or of another model or corpus "
                      f"({_first_line(error)}); {way_out}") from error

  def _check(self, loss: np.ndarray, step: int) -> None:
    if not np.isfinite(loss):
      raise UserError(f"{self._name}: the loss is {loss} at step {step}; lower the "
                      f"learning rate, then go on from the last checkpoint")


def _first_line(error: Exception) -> str:
  return str(getattr(error, "message", error)).strip().splitlines()[0][:200]
