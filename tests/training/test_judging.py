"""A stage that is judged while it trains ends with the best model that it had."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.training.checkpoints import Checkpoints
from realm_tf.training.judging import Judge
from realm_tf.training.log import read_curves
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW
from realm_tf.training.stopping import Interrupted
from tests.processes import as_two_processes
from tests.training.test_loop import Task

_SCORES = {0: 0.1, 3: 0.4, 6: 0.4, 9: 0.3, 12: 0.2}


def _sum_before(step):
  return sum(range(step))


class Judged(Task):
  """A task with a judge who knows beforehand what he will say of each step."""

  def __init__(self, folder, scores, steps=12, metric="dev_score", patience=0, **options):
    self.measured = []

    def measure(step):
      self.measured.append((step, int(self.total)))
      return {"dev_score": scores[step], "dev_other": -scores[step]}

    super().__init__(folder, steps, judge=Judge(measure, metric, 3, patience), **options)


def _dev_curve(folder):
  return {step: values["dev_score"] for step, values in read_curves(folder / "curves.csv")
          if "dev_score" in values}


def test_it_ends_with_the_best_and_of_two_with_the_earlier(tmp_path):
  task = Judged(tmp_path, _SCORES)
  task.run()
  assert task.measured == [(step, _sum_before(step)) for step in _SCORES]
  assert int(task.total) == _sum_before(3) and task.loop.first_step == 12
  assert task.loop.facts() == {"steps": 12, "best_step": 3,
                               "dev_score": pytest.approx(0.4)}
  assert _dev_curve(tmp_path) == _SCORES


def test_the_end_is_measured_where_it_is_no_multiple(tmp_path):
  task = Judged(tmp_path, _SCORES | {10: 0.9}, steps=10)
  task.run()
  assert [step for step, _ in task.measured] == [0, 3, 6, 9, 10]
  assert int(task.total) == _sum_before(10)


def test_no_better_than_the_start_it_stays_as_it_was(tmp_path, caplog):
  task = Judged(tmp_path, dict.fromkeys(_SCORES, 0.5))
  task.run()
  assert int(task.total) == 0
  warning, = (record for record in caplog.records if record.levelname == "WARNING")
  assert warning.message == ("task: no step was better than the start by dev_score, 0.5000: "
                             "the model stays as it was before this stage")


def test_another_metric_of_the_judge_may_choose(tmp_path):
  task = Judged(tmp_path, _SCORES, best="dev_other")
  task.run()
  assert int(task.total) == 0 and task.loop.facts()["dev_other"] == pytest.approx(-0.1)


def test_a_metric_of_the_steps_chooses_the_best_checkpoint_and_the_last_model(tmp_path):
  task = Judged(tmp_path, _SCORES, best="loss", every=3)
  task.run()
  assert int(task.total) == _sum_before(12) and task.loop.facts() == {"steps": 12}
  assert [path.stem for path in (tmp_path / "checkpoints" / "best").glob("*.index")] == [
      "ckpt-3"]  # the losses are the numbers of the steps
  assert _dev_curve(tmp_path) == _SCORES


@pytest.mark.parametrize("patience, last", [(1, 6), (2, 9), (3, 12), (4, 12)])
def test_without_gain_it_ends_early_and_does_not_go_on_later(tmp_path, patience, last):
  for _ in range(2):  # the second time from the last checkpoint on
    task = Judged(tmp_path, _SCORES, patience=patience, every=2)
    task.run()
    assert task.loop.first_step == last and int(task.total) == _sum_before(3)


@pytest.mark.parametrize("every", [0, 2, 5])
@pytest.mark.parametrize("killed_at", [1, 3, 4, 7, 8, 11])
def test_killed_and_run_again_it_has_the_same_best(tmp_path, killed_at, every):
  task = Judged(tmp_path, _SCORES, every=every)

  def die(step):
    if step == killed_at:
      raise RuntimeError("killed")

  task.on_step = die
  with pytest.raises(RuntimeError):
    task.run()
  again = Judged(tmp_path, _SCORES, every=every)
  assert again.loop.first_step == (killed_at // every * every if every else 0)
  again.run()
  assert int(again.total) == _sum_before(3) and again.loop.facts()["best_step"] == 3
  assert _dev_curve(tmp_path) == _SCORES


def test_killed_behind_a_best_model_that_does_not_come_again(tmp_path):
  """As on many threads, where a step is not repeated to the bit."""
  task = Judged(tmp_path, _SCORES, every=2)
  task.on_step = lambda step: step == 3 and (_ for _ in ()).throw(RuntimeError("killed"))
  with pytest.raises(RuntimeError):
    task.run()
  again = Judged(tmp_path, {3: 0.0, 6: 0.2, 9: 0.3, 12: 0.2}, every=2)
  assert again.loop.first_step == 2
  again.run()
  assert int(again.total) == _sum_before(3) and again.loop.facts()["best_step"] == 3


def test_stopped_before_the_first_step_it_still_knows_its_start(tmp_path):
  task = Judged(tmp_path, _SCORES)
  task.before_step = lambda step: os.kill(os.getpid(), signal.SIGTERM) or {}
  with pytest.raises(Interrupted, match="stopped at step 0"):
    task.run()
  again = Judged(tmp_path, dict.fromkeys(_SCORES, 0.0))
  again.run()
  assert int(again.total) == 0 and again.loop.facts()["dev_score"] == pytest.approx(0.1)


def test_a_damaged_best_one_is_forgotten(tmp_path, caplog):
  task = Judged(tmp_path, _SCORES, every=2)
  task.on_step = lambda step: step == 5 and (_ for _ in ()).throw(RuntimeError("killed"))
  with pytest.raises(RuntimeError):
    task.run()
  data, = (tmp_path / "checkpoints" / "best").glob("*.data*")
  os.truncate(data, data.stat().st_size // 2)
  again = Judged(tmp_path, _SCORES)
  assert "best/ckpt-3: cannot be read" in caplog.text
  again.run()
  assert int(again.total) == _sum_before(6)


def test_the_best_holds_no_moments(tmp_path):
  weight = tf.Variable([[1.0]])
  optimizer = AdamW(0.1).build([weight])
  loop = Loop("task", tmp_path, 4, {"weight": weight, "optimizer": optimizer}, 1,
              judge=Judge(lambda step: {"dev": float(step == 2)}, "dev", 2))
  weights_and_moments = []

  def step(_):
    optimizer.apply([tf.ones([1, 1])], [weight])
    weights_and_moments.append((float(weight[0, 0]),
                                float(optimizer.get_slot(weight, "m")[0, 0])))
    return {"loss": tf.constant(0.0)}

  loop.run(tf.data.Dataset.range(4), step)
  names = {folder: {name.partition("/")[0] for name in tf.train.load_checkpoint(
      str(tmp_path / folder)).get_variable_to_shape_map()}
           for folder in ("checkpoints", "checkpoints/best")}
  assert "optimizer" in names["checkpoints"]
  assert names["checkpoints/best"] == {
      "weight", "best_value", "save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH"}
  assert float(weight[0, 0]) == weights_and_moments[1][0] != weights_and_moments[3][0]


def test_processes_follow_the_first_in_what_is_best(tmp_path):
  def work(member):
    value = tf.Variable(0.0)
    checkpoints = Checkpoints(tmp_path, {"value": value}, best="dev_score",
                              writes=member.number == 0, processes=member)
    checkpoints.restore()
    is_best = []
    for step, scores in enumerate([(0.1, 0.1), (0.3, 0.0), (0.2, 0.9)]):
      value.assign(float(step))
      is_best.append(checkpoints.save_if_best(step, {"dev_score": scores[member.number]}))
    checkpoints.take_best()
    return is_best, checkpoints.best_step, float(value)

  assert as_two_processes(work) == [([True, True, False], 1, 1.0)] * 2


@pytest.mark.parametrize("every, cost, steps, period", [
    (7, 100.0, 50, 7), (0, 0.0, 1000, 100), (0, 0.0, 1001, 101), (0, 20.0, 1000, 200),
    (0, 14.0, 300, 140), (0, 200.0, 1000, 1000), (0, 0.0, 3, 1), (0, 0.0, 0, 1)])
def test_how_often_it_is_judged(every, cost, steps, period):
  judge = Judge(lambda step: {}, "dev_score", every, cost=cost)
  assert judge.period(steps) == period
  assert dataclasses.replace(judge, patience=3).period(steps) == period


def test_a_score_that_is_no_number_is_never_the_best(tmp_path):
  task = Judged(tmp_path, _SCORES | {9: np.nan})
  task.run()
  assert int(task.total) == _sum_before(3)
