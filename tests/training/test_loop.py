"""The loop: where it begins, how it stops, what it refuses."""

import os
import resource
import signal

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.training.log import read_curves
from realm_tf.training.loop import Interrupted, Loop


class Task:
  """Adds up its batches: the state tells which ones were seen."""

  def __init__(self, folder, steps=10, every=0):
    self.total = tf.Variable(0, dtype=tf.int64)
    self.loop = Loop("task", folder, steps, {"total": self.total}, every)
    self.steps, self.on_step = steps, lambda step: None

  def run(self):
    batches = tf.data.Dataset.range(self.loop.first_step, self.steps)
    self.loop.run(batches, self.step)

  def step(self, batch):
    self.on_step(int(batch))
    self.total.assign_add(batch)
    return {"loss": tf.cast(batch, tf.float32)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_saves_and_the_next_run_goes_on(tmp_path, number):
  task = Task(tmp_path)
  task.on_step = lambda step: step == 3 and os.kill(os.getpid(), number)
  with pytest.raises(Interrupted, match="stopped at step 4 of 10 of task"):
    task.run()
  again = Task(tmp_path)
  assert again.loop.first_step == 4 and int(again.total) == 0 + 1 + 2 + 3
  again.run()
  assert int(again.total) == sum(range(10))
  steps = [step for step, _ in read_curves(tmp_path / "curves.csv")]
  assert steps == sorted(set(steps)) and steps[-1] == 10


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
  with pytest.raises(UserError, match="loss is nan at step 0"):
    task.run()


def test_curves_are_means_since_the_last_record(tmp_path):
  Task(tmp_path, steps=200).run()
  curves = read_curves(tmp_path / "curves.csv")
  assert len(curves) == 50
  assert curves[0] == (4, {"loss": np.mean([0, 1, 2, 3])})


def test_a_damaged_checkpoint_is_named_with_the_way_out(tmp_path):
  weight = tf.Variable(1.0)

  def loop():
    return Loop("ict", tmp_path, 4, {"weight": weight}, checkpoint_every=2)

  loop().run(tf.data.Dataset.range(4), lambda batch: {"loss": weight.assign_add(1.0)})
  data = tmp_path / "checkpoints" / "ckpt-4.data-00000-of-00001"
  content = bytearray(data.read_bytes())
  content[len(content) // 2] ^= 1
  data.write_bytes(content)
  with pytest.raises(UserError, match="ckpt-4: cannot be read.*go on from .*ckpt-2, delete"):
    loop()
  for path in (tmp_path / "checkpoints").glob("ckpt-4.*"):
    path.unlink()
  assert loop().first_step == 2 and float(weight) == 3.0


def test_a_full_disk_at_a_checkpoint_is_one_line(tmp_path):
  loop = Loop("ict", tmp_path, 4, {"weight": tf.Variable(tf.zeros([50_000]))}, 2)
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  try:
    with pytest.raises(UserError, match="step 2 cannot be written"):
      loop.run(tf.data.Dataset.range(4), lambda batch: {"loss": tf.constant(1.0)})
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
