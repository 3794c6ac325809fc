"""The loop: where it begins, how it stops, what it refuses."""

import os
import pathlib
import resource
import shutil
import signal
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.training.log import Log, read_curves, read_examples
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW, WarmupLinearDecay
from realm_tf.training.stopping import Interrupted
from tests.events import read_events


class Task:
  """Adds up its batches: the state tells which ones were seen."""

  def __init__(self, folder, steps=10, every=0, **options):
    self.total = tf.Variable(0, dtype=tf.int64)
    self.ballast = tf.Variable(tf.zeros([1 << 18]))  # a megabyte
    self.loop = Loop("task", folder, steps, {"total": self.total, "ballast": self.ballast},
                     every, **options)
    self.steps, self.on_step = steps, lambda step: None
    self.before_step = lambda step: {}

  def run(self):
    batches = tf.data.Dataset.range(self.loop.first_step, self.steps)
    self.loop.run(batches, self.step, before_step=[self.before_step])

  def step(self, batch):
    self.on_step(int(batch))
    self.total.assign_add(batch)
    return {"loss": tf.cast(batch, tf.float32)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_saves_and_the_next_run_goes_on(tmp_path, capfd, number):
  task, said = Task(tmp_path), []

  def twice(step):  # as people do who see nothing happen
    if step == 3:
      os.kill(os.getpid(), number)
      said.append(capfd.readouterr().err)
      os.kill(os.getpid(), number)
      said.append(capfd.readouterr().err)

  task.on_step = twice
  with pytest.raises(Interrupted, match="stopped at step 4 of 10 of task"):
    task.run()
  assert said[0].count("\nstopping") == 1 and not said[1]
  again = Task(tmp_path)
  assert again.loop.first_step == 4 and int(again.total) == 0 + 1 + 2 + 3
  again.run()
  assert int(again.total) == sum(range(10))
  steps = [step for step, _ in read_curves(tmp_path / "curves.csv")]
  assert steps == sorted(set(steps)) and steps[-1] == 10


def test_events_have_learning_rates_and_settings(tmp_path):
  variable = tf.Variable([[1.0]])
  optimizers = {f"{part}optimizer": AdamW(WarmupLinearDecay(peak, 2, 10)).build([variable])
                for part, peak in (("one_", 0.1), ("", 0.01))}
  loop = Loop("task", tmp_path, 10, optimizers, 0,
              settings={"steps": 10, "way": "own", "depths": [1, 5], "exact": True})
  loop.run(tf.data.Dataset.range(10), lambda batch: {"loss": tf.cast(batch, tf.float32)})
  scalars, settings = read_events(tmp_path / "tensorboard")
  assert settings == {"steps": 10, "way": "own", "depths": "[1, 5]", "exact": True}
  for name, peak in (("learning_rate@one", 0.1), ("learning_rate", 0.01)):
    # Of the step that was just done: it rises for two, and falls to 0 after the tenth.
    expected = {step: peak * min(step / 2, (11 - step) / 8, 1) for step in range(1, 11)}
    assert scalars[name] == pytest.approx(expected)
    assert dict(read_curves(tmp_path / "curves.csv"))[10][name] == pytest.approx(peak / 8)


def test_time_of_all_sessions_is_added_up(tmp_path, monkeypatch):
  clock = [1000.0]
  monkeypatch.setattr("realm_tf.training.worked.time.monotonic", lambda: clock[0])
  for stop, seconds in ((3, 7.0), (5, 11.0)):
    task = Task(tmp_path)

    def count(step, stop=stop, seconds=seconds):
      if step == stop:
        clock[0] += seconds
        os.kill(os.getpid(), signal.SIGTERM)

    task.on_step = count
    with pytest.raises(Interrupted):
      task.run()
    clock[0] += 500.0  # in which nothing ran
  assert Task(tmp_path).loop.earlier_seconds == 18.0


@pytest.mark.parametrize("steps, recorded", [(10, range(1, 11)), (103, range(3, 104, 2)),
                                             (150, range(3, 151, 3)), (1, [1])])
def test_the_last_mean_of_a_curve_is_over_as_many_steps_as_others(tmp_path, steps, recorded):
  task = Task(tmp_path, steps=steps)
  task.run()
  curve = read_curves(tmp_path / "curves.csv")
  assert [step for step, _ in curve] == list(recorded)
  before = 0
  for step, means in curve:
    assert means["loss"] == np.mean(range(before, step))
    before = step


def test_signals_are_given_back(tmp_path):
  before = signal.getsignal(signal.SIGTERM)
  Task(tmp_path).run()
  assert signal.getsignal(signal.SIGTERM) is before


def test_checkpoints_at_intervals(tmp_path):
  task = Task(tmp_path, every=4)
  task.on_step = lambda step: step == 9 and (_ for _ in ()).throw(RuntimeError("died"))
  with pytest.raises(RuntimeError):
    task.run()
  assert Task(tmp_path).loop.first_step == 8


def test_a_loss_that_is_not_finite_stops(tmp_path):
  task = Task(tmp_path)
  task.step = lambda batch: {"loss": tf.constant(np.nan)}
  with pytest.raises(UserError, match="loss is nan at step 0, its batch is in .*npz"):
    task.run()


def test_a_gradient_that_is_not_finite_stops_and_its_batch_is_saved(tmp_path):
  class Text(NamedTuple):
    words: tf.RaggedTensor
    lengths: tf.Tensor

  class Batch(NamedTuple):
    number: tf.Tensor
    text: Text

  class Pair(Task):
    def run(self):
      text = Text(tf.ragged.constant([[1, 2], [3]]), tf.constant([2, 1]))
      batches = tf.data.Dataset.range(self.steps).map(lambda step: Batch(step, text))
      self.loop.run(batches, lambda batch: {
          "loss": tf.constant(1.0),
          "gradient_norm": tf.constant(np.inf if batch.number == 3 else 1.0)})

  with pytest.raises(UserError, match="gradient norm is inf at step 3"):
    Pair(tmp_path, every=1).run()
  saved = np.load(tmp_path / "not-finite-3.npz", allow_pickle=False)
  assert {name: saved[name].tolist() for name in saved} == {
      "number": 3, "text.words.values": [1, 2, 3], "text.words.row_splits": [0, 2, 3],
      "text.lengths": [2, 1]}
  assert Task(tmp_path).loop.first_step == 3  # nothing of the bad step was kept


def _checkpoints(folder):
  return sorted(int(path.stem[5:]) for path in folder.glob("ckpt-*.index"))


def test_the_last_checkpoints_stay_and_the_best(tmp_path):
  task = Task(tmp_path, steps=12, every=2, keep=3, best="loss")
  task.step = lambda batch: {"loss": tf.cast((batch - 5) ** 2, tf.float32)}
  task.run()
  assert _checkpoints(tmp_path / "checkpoints") == [8, 10, 12]
  # Means of 4, 5: 0.5; of 6, 7: 2.5.
  assert _checkpoints(tmp_path / "checkpoints" / "best") == [6]
  again = Task(tmp_path, steps=16, every=2, keep=3, best="loss")
  again.step = lambda batch: {"loss": tf.cast(0.4 if batch == 15 else 1, tf.float32)}
  again.run()
  assert _checkpoints(tmp_path / "checkpoints" / "best") == [6]
  assert _checkpoints(tmp_path / "checkpoints") == [12, 14, 16]


def test_a_best_metric_that_comes_seldom_counts_when_it_does(tmp_path, caplog):
  task = Task(tmp_path, steps=12, every=2, best="recall")
  task.before_step = lambda step: {"recall": {3: 0.5, 7: 0.9, 11: 0.6}[step]} if (
      step % 4 == 3) else {}
  task.run()
  assert _checkpoints(tmp_path / "checkpoints" / "best") == [8]
  assert caplog.text.count("no 'recall' up to step 2, and so no best") == 1
  assert caplog.text.count("config.best_metric") == 1 and "loss" in caplog.text


def test_a_stage_without_the_best_metric_keeps_no_best(tmp_path, caplog):
  Task(tmp_path, every=2, best="recall").run()
  assert _checkpoints(tmp_path / "checkpoints") == [8, 10]
  assert _checkpoints(tmp_path / "checkpoints" / "best") == []
  assert "no 'recall' up to step 2" in caplog.text


def _damage(path: pathlib.Path, how: str) -> None:
  content = path.read_bytes()
  middle = len(content) // 2
  path.write_bytes({"cut": content[:middle], "empty": b"",
                    "flipped": content[:middle] + bytes([content[middle] ^ 1])
                    + content[middle + 1:]}[how])


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("how", ["cut", "empty", "flipped"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, caplog, suffix, how):
  Task(tmp_path, steps=9, every=3, keep=3).run()
  _damage(tmp_path / "checkpoints" / f"ckpt-9.{suffix}", how)
  task = Task(tmp_path, steps=12, every=3, keep=3)
  assert task.loop.first_step == 6 and int(task.total) == sum(range(6))
  assert "ckpt-9: cannot be read" in caplog.text and "trying the one before" in caplog.text
  task.run()
  assert int(Task(tmp_path, steps=12).total) == sum(range(12))


def test_without_the_state_file_the_newest_is_found(tmp_path):
  Task(tmp_path, steps=9, every=3).run()
  (tmp_path / "checkpoints" / "checkpoint").write_text("damaged")
  assert Task(tmp_path, steps=12).loop.first_step == 9


def test_if_all_are_damaged_it_says_so(tmp_path):
  Task(tmp_path, steps=6, every=3).run()
  for path in (tmp_path / "checkpoints").glob("*.index"):
    _damage(path, "cut")
  with pytest.raises(UserError, match="no checkpoint there can be read, .*; delete this"):
    Task(tmp_path)


def test_killed_in_its_first_save_it_begins_anew(tmp_path):
  Task(tmp_path, steps=3, every=3).run()
  (tmp_path / "checkpoints" / "checkpoint").unlink()  # is written last
  _damage(tmp_path / "checkpoints" / "ckpt-3.index", "cut")
  task = Task(tmp_path, steps=6, every=3)
  assert task.loop.first_step == 0
  task.run()
  assert Task(tmp_path, steps=6).loop.first_step == 6


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
  task = Task(tmp_path, every=3)
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)

  def fill(step):
    if step == 4:
      resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, limits[1]))

  task.on_step = fill
  try:
    with pytest.raises(UserError, match="checkpoint of step 6 cannot be written .*the one "
                                        "before is unchanged"):
      task.run()
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  again = Task(tmp_path)
  assert again.loop.first_step == 3
  again.run()
  assert int(again.total) == sum(range(10))


def test_what_killed_saves_left_is_removed_and_nothing_else(tmp_path):
  Task(tmp_path, every=3, keep=2, best="loss").run()
  folder = tmp_path / "checkpoints"
  remaining = {path for path in folder.rglob("*") if "state" not in path.name}
  assert {path.name for path in remaining} >= {"ckpt-6.index", "ckpt-9.index", "best"}
  half = folder / "ckpt-12_temp" / "part-00000-of-00001.data-00000-of-00001"
  unknown = [folder / f"ckpt-4.{suffix}" for suffix in ("index", "data-00000-of-00001")]
  lefts = [half, folder / "ckpt-5.data-00000-of-00001", folder / "checkpoint.tmp0123abc",
           folder / "ckpt-9.data-00000-of-00001.tempstate123",
           folder / "best" / "ckpt-5.data-00000-of-00001"]
  half.parent.mkdir()
  for path in lefts:
    path.write_bytes(b"half")
  for path in unknown:  # whole, but the process was killed before it could note it
    shutil.copy(folder / path.name.replace("4", "6"), path)
  (folder / "notes").touch()
  task = Task(tmp_path, steps=12, every=1, keep=2)
  assert not any(path.exists() for path in [*lefts, half.parent])
  assert all(path.exists() for path in [*remaining, *unknown, folder / "notes"])
  task.run()
  assert sorted(path.name for path in folder.glob("*.index")) == [
      "ckpt-11.index", "ckpt-12.index"]
  assert not any(path.exists() for path in unknown) and (folder / "notes").exists()


def test_curves_are_means_since_the_last_record(tmp_path):
  Task(tmp_path, steps=200).run()
  curves = read_curves(tmp_path / "curves.csv")
  assert len(curves) == 50
  step, means = curves[0]
  assert means.pop("input_wait_seconds") >= 0 and means.pop("step_seconds") > 0
  assert (step, means) == (4, {"loss": np.mean([0, 1, 2, 3])})


def test_examples_of_a_resumed_run_are_not_there_twice(tmp_path):
  path = tmp_path / "examples.jsonl"
  assert read_examples(path) == []
  log = Log(tmp_path, 0)
  for step in (0, 10, 20, 30):
    log.example({"sentence": f"Łódź <{step}>"}, step)
  resumed = Log(tmp_path, 10)  # killed after 30, its newest checkpoint is of 10
  resumed.example({"sentence": "again"}, 20)
  resumed.example({"sentence": "once more"}, 20)
  assert read_examples(path) == [
      {"step": 0, "sentence": "Łódź <0>"}, {"step": 10, "sentence": "Łódź <10>"},
      {"step": 20, "sentence": "once more"}]


class _Losses(Task):
  """Means of 5 steps are 5, 4.2 and 4; of the last 2 of the second window 1."""

  def step(self, batch):
    super().step(batch)
    return {"loss": tf.gather([5., 5., 5., 5., 5., 1., 9., 9., 1., 1., 4., 4., 4., 4., 4.],
                              batch)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_the_best_does_not_depend_on_a_stop(tmp_path, number):
  folders = [tmp_path / "whole", tmp_path / "stopped"]
  for folder in folders:
    task = _Losses(folder, steps=15, every=5, keep=9, best="loss")
    if folder.name == "stopped":
      task.on_step = lambda step: step == 7 and os.kill(os.getpid(), number)
      with pytest.raises(Interrupted, match="stopped at step 8"):
        task.run()
      task = _Losses(folder, steps=15, every=5, keep=9, best="loss")
    task.run()
  uninterrupted, stopped = (tf.train.load_checkpoint(str(folder / "checkpoints" / "ckpt-15"))
                            for folder in folders)
  best = "best_value/.ATTRIBUTES/VARIABLE_VALUE"
  assert stopped.get_tensor(best) == uninterrupted.get_tensor(best) == -4
  for folder in folders:
    assert _checkpoints(folder / "checkpoints" / "best") == [15]


def test_curves_of_a_run_that_was_stopped_are_those_of_one_that_was_not(tmp_path):
  curves = []
  for name in ("whole", "stopped"):
    task = Task(tmp_path / name, steps=200)
    if name == "stopped":
      task.on_step = lambda step: step == 101 and os.kill(os.getpid(), signal.SIGTERM)
      with pytest.raises(Interrupted, match="stopped at step 102"):
        task.run()
      task = Task(tmp_path / name, steps=200)
    task.run()
    curves.append([(step, means["loss"])
                   for step, means in read_curves(tmp_path / name / "curves.csv")])
  assert curves[0] == curves[1] and (104, np.mean([100, 101, 102, 103])) in curves[0]
