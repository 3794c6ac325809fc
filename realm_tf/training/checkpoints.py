"""Checkpoints of a stage: the newest whole one, the last few, and the best one.

Processes that train together restore the same one, or none of them does.
"""

import contextlib
import pathlib
import re
import shutil
from typing import Any, Callable, Collection, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf import files
from realm_tf.distribute.processes import SINGLE_PROCESS, SingleProcess
from realm_tf.errors import UserError

# What a checkpoint that is damaged, gone or of something else raises.
_UNREADABLE = (tf.errors.OpError, ValueError, RuntimeError, LookupError, OSError,
               AssertionError)
# What is left of a save, or of a removal, that was cut short.
_LEFTOVER = re.compile(r"ckpt-\d+_temp|ckpt-\d+\..*\.tempstate\d+|checkpoint\.tmp.*")
_BEST_VALUE = "best_value/.ATTRIBUTES/VARIABLE_VALUE"
_LOWER_IS_BETTER = ("loss", "norm", "entropy", "staleness")


class Checkpoints:
  """Writes and finds checkpoints; one that is damaged or half written is passed over.

  Args:
    folder: for them; the best one is in its `best`.
    tracked: what they hold, by name.
    keep: how many of the newest stay.
    best: the metric by which the best is chosen; none if empty, or where a stage does not
      have it. Lower is better of what ends in loss, norm, entropy or staleness, else
      higher; of two that are as good, the earlier.
    best_parts: which of what is tracked the best one holds, by name; all by default.
    writes: whether this process writes; all read.
    processes: the processes that train together. All of them restore and save at the same
      points, and see the same folder.
  """

  def __init__(self, folder: pathlib.Path, tracked: dict[str, Any], keep: int = 2,
               best: str = "", writes: bool = True,
               processes: SingleProcess = SINGLE_PROCESS,
               best_parts: Collection[str] | None = None):
    self._folder, self._metric, self._writes = folder, best, writes
    self._processes = processes
    self._has_warned = False
    self._sign = -1.0 if best.endswith(_LOWER_IS_BETTER) else 1.0
    self._best = tf.Variable(-float("inf"), trainable=False, name="best")
    self._best_step = -1
    self._keep = keep
    names = tracked if best_parts is None else best_parts
    self._newest, self._kept = (
        tf.train.CheckpointManager(tf.train.Checkpoint(best_value=self._best, **parts),
                                   str(place), max_to_keep=most)
        for parts, place, most in (
            (tracked, folder, keep),
            ({name: tracked[name] for name in names}, folder / "best", 1)))

  @property
  def best_step(self) -> int:
    """The step of the best checkpoint; -1 if there is none."""
    return self._best_step

  @property
  def best_value(self) -> float:
    """The metric of the best checkpoint."""
    return self._sign * float(self._best)

  def restore(self) -> None:
    """Restores the newest whole checkpoint, if there is any: the same in all processes.

    Which is the best, and how good, is told by the best one itself: it may be of a later
    step than the newest, where a process was killed between the two.

    Process 0 says which one is tried. All agree that each of them has read all of it before
    any restores it, and that each has restored it before any goes on; one that a single
    process cannot read is passed over by all. In between nobody waits for anybody: what is
    tracked must have its variables already (see `AdamW.build`), since to make one, processes
    broadcast its value. Nothing is removed meanwhile, since who saves has restored.

    Raises:
      UserError: there are some, but all are damaged or of something else. What a kill in the
        first save left is no checkpoint yet.
    """
    if self._writes:
      _remove_leftovers(self._folder)
    self._restore_newest()
    if self._metric:
      self._find_best()

  def _restore_newest(self) -> None:
    tried = set[int]()
    while (step := self._processes.broadcast(_newest_but(self._folder, tried))) >= 0:
      path = str(self._folder / f"ckpt-{step}")
      if (self._all_could(path, _read_all)
          and self._all_could(path, self._restore_all)):
        return
      tried.add(step)
    if not tried:
      return
    # TensorFlow puts an index in place while it writes it, and the state file after it: the
    # first save of a process that was killed leaves a cut one, and no state file.
    said = self._processes.broadcast(int((self._folder / "checkpoint").exists()))
    if said or len(tried) > 1:
      raise UserError(f"{self._folder}: no checkpoint there can be read, be they damaged "
                      "or of another model or corpus; delete this folder to begin anew")

  def _restore_all(self, path: str) -> None:
    """Restores it; what is tracked and not there, as in one of an earlier release, is an
    error."""
    self._newest.checkpoint.restore(path).assert_existing_objects_matched()

  def _find_best(self) -> None:
    value, tried = -float("inf"), set[int]()

    def read(path: str) -> None:
      nonlocal value
      _read_all(path)
      value = float(tf.train.load_checkpoint(path).get_tensor(_BEST_VALUE))

    folder = self._folder / "best"
    while (step := self._processes.broadcast(_newest_but(folder, tried))) >= 0:
      if self._all_could(str(folder / f"ckpt-{step}"), read):
        self._best.assign(value)
        break
      tried.add(step)
    else:
      self._best.assign(-float("inf"))
    self._best_step = step

  def take_best(self) -> None:
    """Restores what the best checkpoint holds.

    Raises:
      UserError: it cannot be read; in all processes.
    """
    path = str(self._folder / "best" / f"ckpt-{self._best_step}")
    if not (self._all_could(path, _read_all)
            and self._all_could(path, self._kept.checkpoint.restore)):
      raise UserError(f"{path}: the best model of this stage cannot be read any more; run "
                      "the stage again in another --workdir")

  def _all_could(self, path: str, read: Callable[[str], Any]) -> bool:
    """Whether all processes could read it; says why not."""
    reason = ""
    try:
      read(path)
    except _UNREADABLE as error:
      reason = _first_line(error) or type(error).__name__
    if self._processes.all_agree(not reason):
      return True
    logging.warning("%s: cannot be read (%s); trying the one before", path,
                    reason or "by another process")
    return False

  def save(self, step: int, metrics: dict[str, float]) -> None:
    """Saves step `step`; `metrics` decide whether it is the best so far.

    Raises:
      UserError: it cannot be written; earlier ones stay. In all processes.
    """
    best = [(self._kept, 1)] if self._is_best(step, metrics) else []
    self._save(step, [*best, (self._newest, self._keep)])

  def save_if_best(self, step: int, metrics: dict[str, float]) -> bool:
    """Saves this step as the best only, if it is the best; returns whether it was."""
    better = self._is_best(step, metrics)
    if better:
      self._save(step, [(self._kept, 1)])
    return better

  def _save(self, step: int, managers: Sequence[tuple[tf.train.CheckpointManager, int]]
            ) -> None:
    reason = ""
    if self._writes:
      try:
        for manager, keep in managers:
          _save(manager, step, keep)
      except (tf.errors.OpError, OSError) as error:
        reason = (files.system_reason(error) or _first_line(error)
                  or type(error).__name__)
        _remove_leftovers(self._folder)  # they may be what fills the disk
    if not self._processes.all_agree(not reason):
      raise UserError(f"{self._folder}: the checkpoint of step {step} cannot be written "
                      f"({reason or 'by process 0'}); the one before is unchanged: make "
                      "room, then run the same command")

  def _is_best(self, step: int, metrics: dict[str, float]) -> bool:
    """Whether process 0 finds it better than all before; the same in all processes."""
    if not self._metric or not metrics:
      return False
    better = bool(self._processes.broadcast(int(self._is_better(step, metrics))))
    if better:
      self._best.assign(self._sign * metrics[self._metric])
      self._best_step = step
    return better

  def _is_better(self, step: int, metrics: dict[str, float]) -> bool:
    if self._metric not in metrics:
      # No error: stages have other metrics than each other, and some come later, or seldom.
      if not self._has_warned:
        logging.warning("config.best_metric: no '%s' up to step %d, and so no best "
                        "checkpoint; there are %s", self._metric, step,
                        ", ".join(sorted(metrics)))
        self._has_warned = True
      return False
    return np.float32(self._sign * metrics[self._metric]) > self._best.numpy()


def _save(manager: tf.train.CheckpointManager, step: int, keep: int) -> None:
  """Saves a checkpoint and removes all but the last few, also those of a killed process,
  which the manager does not know."""
  folder = pathlib.Path(manager.directory)
  folder.mkdir(parents=True, exist_ok=True)  # TensorFlow's would not follow the umask
  manager.save(checkpoint_number=step)
  for outdated in sorted(s for s in _steps(folder) if s <= step)[:-keep]:
    for path in folder.glob(f"ckpt-{outdated}.*"):
      path.unlink(missing_ok=True)


def _remove_leftovers(folder: pathlib.Path) -> None:
  for path in (*folder.glob("c*"), *folder.glob("best/c*")):
    if not _LEFTOVER.fullmatch(path.name) and not _is_without_index(path):
      continue
    if path.is_dir():
      shutil.rmtree(path, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):  # in other processes nothing fails here
        path.unlink()


def _is_without_index(path: pathlib.Path) -> bool:
  data = re.fullmatch(r"(ckpt-\d+)\.data-.*", path.name)
  return data is not None and not path.with_name(f"{data[1]}.index").exists()


def restore_best(folder: pathlib.Path, **parts: Any) -> None:
  """Restores these of the tracked parts from the best checkpoint of a stage.

  Args:
    folder: of its checkpoints.
    **parts: by the names under which they were tracked.

  Raises:
    UserError: there is none, or it cannot be read.
  """
  step = _newest_but(folder / "best", set())
  if step < 0:
    raise UserError(f"{folder / 'best'}: no checkpoint there: none is kept unless the stage "
                    "has dev questions, or config.best_metric names a metric of it while it "
                    "trains")
  path = str(folder / "best" / f"ckpt-{step}")
  try:
    _read_all(path)
    tf.train.Checkpoint(**parts).restore(path).assert_existing_objects_matched(
        ).expect_partial()
  except _UNREADABLE as error:
    raise UserError(f"{path}: cannot be read: damaged, or of another model "
                    f"({_first_line(error)})") from error


def newest_step(folder: pathlib.Path) -> int:
  """The step of the newest checkpoint in a folder, of which none is read; 0 without any."""
  return max(_steps(folder), default=0)


def _newest_but(folder: pathlib.Path, tried: set[int]) -> int:
  """The step of what looks like the newest other checkpoint, whatever the state file says.

  -1 if there is none.
  """
  return max(_steps(folder) - tried, default=-1)


def _steps(folder: pathlib.Path) -> set[int]:
  return {int(match[1]) for path in folder.glob("ckpt-*.index")
          if (match := re.fullmatch(r"ckpt-(\d+)\.index", path.name))}


def _read_all(path: str) -> None:
  """Reads every tensor, which compares it with its checksum.

  Before anything is restored, since optimizers read theirs only when they first need it.
  """
  reader = tf.train.load_checkpoint(path)
  for name in reader.get_variable_to_shape_map():
    reader.get_tensor(name)


def _first_line(error: Exception) -> str:
  return (str(getattr(error, "message", error)).strip().splitlines() or [""])[0][:200]
