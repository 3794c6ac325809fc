"""Checkpoints of a stage: the newest whole one, the last few, and the best one."""

import pathlib
import re
from typing import Any

import tensorflow as tf
from absl import logging

from realm_tf.errors import UserError

# What restoring fails with where processes share a variable and one of them has gone.
_OTHERS_FAILED = (tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
                  tf.errors.UnavailableError, tf.errors.DeadlineExceededError)
_LOWER_IS_BETTER = ("loss", "norm", "entropy", "staleness")


class Checkpoints:
  """Writes and finds checkpoints; one that is damaged or half written is passed over.

  Args:
    folder: for them; the best one is in its `best`.
    tracked: what they hold, by name.
    keep: how many of the newest stay.
    best: the metric by which the best is chosen; none if empty, or where a stage does not
      have it. Lower is better of what ends in loss, norm, entropy or staleness, else
      higher.
    writes: whether this process writes; all read.
  """

  def __init__(self, folder: pathlib.Path, tracked: dict[str, Any], keep: int = 2,
               best: str = "", writes: bool = True):
    self._folder, self._metric, self._writes = folder, best, writes
    self._has_warned = False
    self._sign = -1.0 if best.endswith(_LOWER_IS_BETTER) else 1.0
    self._best = tf.Variable(-float("inf"), trainable=False, name="best")
    checkpoint = tf.train.Checkpoint(best_value=self._best, **tracked)
    self._newest = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=keep)
    self._kept = tf.train.CheckpointManager(checkpoint, str(folder / "best"), max_to_keep=1)

  def restore(self) -> None:
    """Restores the newest whole checkpoint, if there is any.

    Raises:
      UserError: there are some, but all are damaged or of something else; or another
        process failed meanwhile.
    """
    paths = _by_step(self._folder)
    for path in paths:
      try:
        _read_all(path)
        self._restore_whole(path)
        return
      except UserError:
        raise
      except (tf.errors.OpError, ValueError, RuntimeError, LookupError) as error:
        logging.warning("%s: cannot be read (%s); trying the one before", path,
                        _first_line(error))
    if paths:
      raise UserError(f"{self._folder}: no checkpoint there can be read, be they damaged "
                      "or of another model, corpus or, of a sharded index, number of "
                      "devices; delete this folder to begin anew")

  def _restore_whole(self, path: str) -> None:
    try:
      self._newest.checkpoint.restore(path)
    except _OTHERS_FAILED as error:
      raise UserError(f"{path}: is whole, but another process failed while it was restored "
                      f"({_first_line(error)}); run the same command in all of them "
                      "again") from error

  def save(self, step: int, metrics: dict[str, float]) -> None:
    """Saves step `step`; `metrics` decide whether it is the best so far.

    Raises:
      UserError: it cannot be written; earlier ones stay.
    """
    if not self._writes:
      return
    better = self._is_best(step, metrics)
    try:
      self._newest.save(checkpoint_number=step)
      if better:
        self._kept.save(checkpoint_number=step)
    except (tf.errors.OpError, OSError) as error:
      raise UserError(f"{self._folder}: the checkpoint of step {step} cannot be written "
                      f"({_first_line(error)}); the one before is unchanged: make room, "
                      "then run the same command") from error

  def _is_best(self, step: int, metrics: dict[str, float]) -> bool:
    if not self._metric or not metrics:
      return False
    if self._metric not in metrics:
      # No error: stages have other metrics than each other, and some come later, or seldom.
      if not self._has_warned:
        logging.warning("config.best_metric: no '%s' up to step %d, and so no best "
                        "checkpoint; there are %s", self._metric, step,
                        ", ".join(sorted(metrics)))
        self._has_warned = True
      return False
    value = self._sign * metrics[self._metric]
    if value <= float(self._best):
      return False
    self._best.assign(value)
    return True


def _by_step(folder: pathlib.Path) -> list[str]:
  """What looks like a checkpoint, the newest first, whatever the state file says."""
  found = [(int(match[1]), str(path.with_suffix("")))
           for path in folder.glob("ckpt-*.index")
           if (match := re.fullmatch(r"ckpt-(\d+)\.index", path.name))]
  return [path for _, path in sorted(found, reverse=True)]


def _read_all(path: str) -> None:
  """Reads every tensor, which compares it with its checksum.

  Before anything is restored, since optimizers read theirs only when they first need it.
  """
  reader = tf.train.load_checkpoint(path)
  for name in reader.get_variable_to_shape_map():
    reader.get_tensor(name)


def _first_line(error: Exception) -> str:
  return str(getattr(error, "message", error)).strip().splitlines()[0][:200]
