"""The loop that all stages share: steps, progress, checkpoints, stopping."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any, Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from realm_tf.distribute.processes import is_chief, process_group, process_index
from realm_tf.errors import UserError
from realm_tf.files import new_file
from realm_tf.progress import progress
from realm_tf.training.checkpoints import Checkpoints
from realm_tf.training.judging import Judge
from realm_tf.training.log import Log, Window
from realm_tf.training.optimizer import AdamW
from realm_tf.training.stopping import Interrupted, TrainingStopped, stop_requests
from realm_tf.training.worked import Worked

_RECORDS = 50  # points in a stage's curves, at least
StepFunction = Callable[[Any], dict[str, tf.Tensor]]
BeforeStep = Callable[[int], dict[str, float]]  # the number of the step -> more metrics
OnStep = Callable[[int, dict[str, float]], None]  # the number of steps done, its metrics


class Loop:
  """Runs the steps of one stage, from its newest whole checkpoint on.

  Args:
    name: of the stage, for people.
    folder: for checkpoints and curves.
    steps: where to stop.
    tracked: what the checkpoints hold, by name.
    checkpoint_every: steps; 0 saves only when asked to stop.
    keep: see `Checkpoints`.
    best: a metric by which the best checkpoint is kept, too; that of the judge if empty.
    judge: by which the model is measured as it goes on. Where its metric says what is best,
      `run` ends with the best model, that of the start counted, in the place of the last;
      any metric whose name begins with "dev_" is taken for one of the judge's.
    settings: that the stage trains with, for TensorBoard.
    strategy: by which the steps run. Where it has several processes, worker 0 alone
      writes checkpoints, and the others their curves into folders of their own.
  """

  def __init__(self, name: str, folder: pathlib.Path, steps: int,
               tracked: dict[str, Any], checkpoint_every: int, *, keep: int = 2,
               best: str = "", strategy: tf.distribute.Strategy | None = None,
               judge: Judge | None = None, settings: Mapping[str, Any] | None = None):
    self._name, self._steps, self._every = name, steps, checkpoint_every
    self._judge, self._period = judge, judge.period(steps) if judge else 0
    self._metric = best or (judge.metric if judge else "")
    self._ends_with_best = judge is not None and (
        self._metric == judge.metric or best.startswith("dev_"))
    strategy = strategy or tf.distribute.get_strategy()
    # They must all restore the same, and stop at the same step, or none would.
    self._processes = process_group(strategy)
    self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
    self._stop: list[int] = []
    chief = is_chief(strategy)
    since_record, since_checkpoint, self._worked = Window(), Window(), Worked()
    self._checkpoints = Checkpoints(
        folder / "checkpoints", {"step": self._step, "since_record": since_record,
                                 "since_checkpoint": since_checkpoint,
                                 "worked": self._worked, **tracked},
        keep, self._metric, writes=chief, processes=self._processes,
        best_parts=[part for part, value in tracked.items() if not isinstance(
            value, tf_keras.optimizers.legacy.Optimizer)])
    self._checkpoints.restore()
    if self.first_step:
      logging.info("%s: going on from step %d", name, self.first_step)
    self._folder = folder if chief else folder / f"worker-{process_index(strategy)}"
    self._optimizers = {name.removesuffix("optimizer").rstrip("_"): value
                        for name, value in tracked.items() if isinstance(value, AdamW)}
    self.log = Log(self._folder, self.first_step, since_record, since_checkpoint, settings)

  @property
  def first_step(self) -> int:
    """The step to begin with: 0, or where the newest checkpoint stands."""
    return int(self._step)

  @property
  def earlier_seconds(self) -> float:
    """Seconds that earlier sessions took, up to the checkpoint that was resumed."""
    return self._worked.before

  def stopping(self) -> bool:
    """Whether SIGTERM or Ctrl-C was received: nothing should be waited for any more."""
    return bool(self._stop)

  def run(self, batches: Iterable[Any], step_function: StepFunction, *,
          before_step: Sequence[BeforeStep] = (), on_step: Sequence[OnStep] = (),
          on_record: Callable[[int], None] = lambda step: None,
          last_inputs: Callable[[], dict[str, np.ndarray]] = dict) -> None:
    """Trains to the last step, or until the judge loses patience.

    The curves have `input_wait_seconds`, what a step waited for its batch, besides the
    metrics of the step.

    Args:
      batches: one per step, beginning with `first_step`.
      step_function: one step of training; its metrics are scalars.
      before_step: run on this thread before each step; they may add metrics.
      on_step: called on this thread after each step, with its number and metrics.
      on_record: runs after each record of the curves.
      last_inputs: what the last step saw besides its batch, saved with it where it went
        wrong.

    Raises:
      UserError: the loss or a gradient is not finite; what the step saw was saved.
      Interrupted: asked to stop; the state was saved.
    """
    first = self.first_step
    with stop_requests() as self._stop, progress(
        max(first, self._steps), self._name, done_before=first, slow_start=True) as bar:
      self._measure(first)
      for step, (batch, waited) in zip(range(first, self._steps), _timed(batches)):
        begun = time.monotonic()
        if self._has_lost_patience(step):
          break
        metrics = {"input_wait_seconds": waited}
        try:
          for callback in before_step:
            metrics |= callback(step)
        except TrainingStopped:
          pass  # at once, below
        self._stop_if_asked(step)
        metrics |= {name: float(value) for name, value in step_function(batch).items()}
        self._check(metrics, step, batch, last_inputs)
        metrics["step_seconds"] = time.monotonic() - begun
        self.log.add(metrics)
        self._step.assign(step + 1)
        for observer in on_step:
          observer(step + 1, metrics)
        bar.update()
        if self._is_recorded(step + 1):
          means = self.log.record(step + 1, self._learning_rates(step))
          bar.postfix(loss=f"{means['loss']:.3f}")
          on_record(step + 1)
        self._measure(step + 1)
        if self._every and (step + 1) % self._every == 0:
          means = self.log.since_checkpoint()
          self._checkpoints.save(step + 1, {} if self._ends_with_best else means)
      self._stop_if_asked(self.first_step)
    if self._ends_with_best:
      self._take_best()
    self.log.close()

  def _is_recorded(self, step: int) -> bool:
    """Whether metrics are recorded after this step. Periods are counted from the last step,
    so that the first one may be longer than the others."""
    period = max(1, self._steps // _RECORDS)
    return step == self._steps or (self._steps - step) % period == 0 and step >= period

  def _learning_rates(self, step: int) -> dict[str, float]:
    return {f"learning_rate@{name}" if name else "learning_rate": optimizer.rate_at(step)
            for name, optimizer in self._optimizers.items()}

  def keep_end(self) -> None:
    """Saves the model with which `run` ended, so that it need not be trained again where the
    stage has more to do."""
    self._checkpoints.save(self.first_step, {})

  def facts(self) -> dict[str, Any]:
    """What is worth knowing of a stage that is done."""
    best = {"best_step": self._checkpoints.best_step,
            self._metric: self._checkpoints.best_value} if self._ends_with_best else {}
    return {"steps": self.first_step, **best}

  def _measure(self, step: int) -> None:
    """Lets the judge measure the model as it is, where it is time and was not done."""
    if (not self._judge or (step % self._period and step != self._steps)
        or self._judge.metric in dict(self.log.rows).get(step, {})):
      return
    try:
      metrics = self._judge.measure(step)
    except TrainingStopped:
      return  # it is done when the stage goes on
    better = self._ends_with_best and self._checkpoints.save_if_best(step, metrics)
    self.log.note(step, metrics)  # behind, so that what stands in the curves was kept
    logging.info("%s: step %d: %s%s", self._name, step, ", ".join(
        f"{name} {value:.4f}" for name, value in metrics.items()),
                 ", the best so far" if better else "")

  def _has_lost_patience(self, step: int) -> bool:
    if not self._judge or not self._judge.patience or not self._ends_with_best:
      return False
    measured = step // self._period * self._period
    without_gain = (measured - self._checkpoints.best_step) // self._period
    if without_gain < self._judge.patience:
      return False
    logging.info("%s: ends at step %d of %d: no gain in %s since step %d", self._name, step,
                 self._steps, self._metric, self._checkpoints.best_step)
    return True

  def _take_best(self) -> None:
    best, last = self._checkpoints.best_step, self.first_step
    if best < 0 or best == last:
      return
    self._checkpoints.take_best()
    if not best:
      logging.warning("%s: no step was better than the start by %s, %.4f: the model stays "
                      "as it was before this stage", self._name, self._metric,
                      self._checkpoints.best_value)
    else:
      logging.info("%s: the model is that of step %d of %d, the best by %s, %.4f", self._name,
                   best, last, self._metric, self._checkpoints.best_value)

  def _stop_if_asked(self, step: int) -> None:
    if self._processes.all_agree(not self.stopping()):
      return
    self._checkpoints.save(step, {})  # whether it is the best is judged at the next
    self.log.close()
    # Of processes that train together another one may have been asked.
    raise Interrupted(f"stopped at step {step} of {self._steps} of {self._name}; "
                      "its state is saved: run the same command to go on",
                      *self._stop[:1])

  def _check(self, metrics: dict[str, float], step: int, batch: Any,
             last_inputs: Callable[[], dict[str, np.ndarray]]) -> None:
    for name, value in metrics.items():
      if name.endswith(("loss", "norm")) and not np.isfinite(value):
        path = self._folder / f"not-finite-{step}.npz"
        _save(path, dict(_named("", batch)) | last_inputs())
        raise UserError(f"{self._name}: the {name.replace('_', ' ')} is {value} at step "
                        f"{step}, its batch is in {path} (see docs/diagnosis.md), its "
                        "update was not saved; begin in another --workdir with a lower "
                        f"config.{self._name}.learning_rate, or run the same command to try "
                        "again")


def _timed(batches: Iterable[Any]) -> Iterator[tuple[Any, float]]:
  """Each batch, with the seconds that it took to come."""
  iterator = iter(batches)
  while True:
    begun = time.monotonic()
    try:
      batch = next(iterator)
    except StopIteration:
      return
    yield batch, time.monotonic() - begun


def _save(path: pathlib.Path, arrays: dict[str, Any]) -> None:
  with new_file(path) as file:
    np.savez(file, **arrays)


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
  """The tensors of a batch by fields and numbers, as in `1.query.ids`.

  Of ragged tensors values and row splits.
  """
  if isinstance(value, tf.RaggedTensor):
    yield from _named(f"{name}.values", value.values)
    yield f"{name}.row_splits", value.row_splits.numpy()
  elif isinstance(value, tuple):
    fields = getattr(value, "_fields", range(len(value)))
    for field, part in zip(fields, value):
      yield from _named(f"{name}.{field}" if name else str(field), part)
  else:
    yield name or "batch", value.numpy()
