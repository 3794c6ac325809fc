"""Model soups: a stage is trained several times, and its model is the mean of the weights.

All trainings begin with the same weights and differ in the order of their examples. They
end in one basin, where the mean is often better than each of them, and where it is used it
costs no more than one (Wortsman et al. 2022, "Model soups", arXiv 2203.05482; all members
are averaged, its "uniform soup").
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from realm_tf.distribute.processes import SingleProcess
from realm_tf.training.judging import Judge
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW

_APART = 100_003  # seeds of the orders, so that runs with neighbouring seeds share none
_SEEDS = 2**31 - 1


class Trained(NamedTuple):
  """What became of a stage.

  Attributes:
    loops: of its trainings, in order.
    facts: what is worth knowing of it, for `done.json`.
  """
  loops: Sequence[Loop]
  facts: dict[str, Any]

  @property
  def earlier_seconds(self) -> float:
    return sum(loop.earlier_seconds for loop in self.loops)


def order_seed(seed: int, training: int) -> int:
  """Of the order of examples in a training, counted from 0; the first has that of the run."""
  return (seed + _APART * training) % _SEEDS


def train_soup(size: int, folder: pathlib.Path, variables: Sequence[tf.Variable],
               optimizer: AdamW, train: Callable[[int, pathlib.Path, Judge | None], Loop],
               judge: Judge | None, processes: SingleProcess) -> Trained:
  """Trains so many times from the weights as they are, and leaves their mean.

  With a judge the mean must not be worse than its members are on average: if it is, they do
  not lie in one basin, and the best of them is left instead.

  Args:
    size: trainings; of one, its own model is left.
    folder: of the first; `training-2` and so on in it are those of the others.
    variables: that are trained.
    optimizer: which begins anew each time.
    train: trains once, from the number of the training (0 is the first), a folder and a
      judge. What was saved in the folder is gone on with.
    judge: of the members and of their mean; the higher its metric, the better.
    processes: that train together.
  """
  if size == 1:
    loop = train(0, folder, judge)
    return Trained([loop], loop.facts())
  judge = _measuring_the_start_once(judge) if judge else None
  start, loops = _values(variables), list[Loop]()
  mean, best = [np.zeros_like(value) for value in start], start
  for number in range(size):
    logging.info("%s: training %d of %d, whose weights will be averaged", folder.name,
                 number + 1, size)
    _assign(variables, start)
    for variable in optimizer.variables():
      variable.assign(tf.zeros_like(variable))
    place = folder / f"training-{number + 1}" if number else folder
    loops.append(train(number, place, judge))
    loops[-1].keep_end()
    member = _values(variables)
    for total, value in zip(mean, member, strict=True):
      total += value / size
    if judge and _best(_scores(loops, judge)) == number:
      best = member
  _assign(variables, mean)
  facts = {"steps": loops[0].first_step, "trainings": size}
  if judge:
    facts |= _judged(folder.name, judge, loops, variables, best, processes)
  return Trained(loops, facts)


def _measuring_the_start_once(judge: Judge) -> Judge:
  known = dict[str, float]()

  def measure(step: int) -> dict[str, float]:
    if step:
      return judge.measure(step)
    if not known:
      known.update(judge.measure(step))
    return dict(known)

  return Judge(measure, judge.metric, judge.every, judge.patience, judge.cost)


def _judged(name: str, judge: Judge, loops: Sequence[Loop], variables: Sequence[tf.Variable],
            best: Sequence[np.ndarray], processes: SingleProcess) -> dict[str, Any]:
  """Measures the mean, and leaves the best member in its place if it is worse than they."""
  metric, scores = judge.metric, _scores(loops, judge)
  score = judge.measure(loops[0].first_step)[metric]
  logging.info("%s: the mean of %d models: %s %.4f; each of them: %s", name, len(loops),
               metric, score, ", ".join(f"{value:.4f}" for value in scores))
  facts = {f"{metric}_of_trainings": scores, f"{metric}_of_mean": score, metric: score}
  if processes.broadcast(int(score >= np.mean(scores))):
    return facts
  logging.warning("%s: the mean is worse than its members are on average: the model is that "
                  "of training %d", name, _best(scores) + 1)
  _assign(variables, best)
  return facts | {metric: max(scores)}


def _scores(loops: Sequence[Loop], judge: Judge) -> list[float]:
  return [loop.facts()[judge.metric] for loop in loops]


def _best(scores: Sequence[float]) -> int:
  """Of those that are as good the first."""
  return int(np.argmax(scores))


def _values(variables: Sequence[tf.Variable]) -> list[np.ndarray]:
  return [variable.numpy() for variable in variables]


def _assign(variables: Sequence[tf.Variable], weights: Sequence[np.ndarray]) -> None:
  for variable, value in zip(variables, weights, strict=True):
    variable.assign(value)
