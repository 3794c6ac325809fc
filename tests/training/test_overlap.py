"""Choosing for the next batch beside learning from this one: the same, but in order."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.training import overlap
from tests import tiny
from tests.training import stages

_SPEC = tf.TensorSpec([], tf.int64)


class _World:
  """A model of one weight, which each step raises by 1; what it chooses says by which."""

  def __init__(self):
    self.weight = tf.Variable(0, dtype=tf.int64)
    self.chosen = tf.Variable(0, dtype=tf.int64)
    self.learnt = tf.Variable(tf.zeros([0, 2], tf.int64), shape=[None, 2])

  def choose(self, batch):
    return 100 * batch + self.weight

  def learn(self, batch, rows):
    self.learnt.assign(tf.concat([self.learnt, [[batch, rows]]], 0))
    self.weight.assign_add(1)
    return {"loss": tf.cast(rows, tf.float32)}

  def run(self, first, last, ahead=True):
    batches = tf.data.Dataset.range(first, last + 1)
    feed, step = overlap.steps(self.choose, self.learn, batches,
                               self.chosen if ahead else None, first == 0)
    for _, batch in zip(range(first, last), feed):
      metrics = step(batch)
      assert metrics["retrieval_wait_seconds"] >= 0


def test_in_turn_each_batch_is_chosen_for_by_the_newest_weights():
  world = _World()
  world.run(0, 4, ahead=False)
  assert world.learnt.numpy().tolist() == [[0, 0], [1, 101], [2, 202], [3, 303]]


def test_ahead_each_batch_is_chosen_for_by_weights_one_step_older():
  world = _World()
  world.run(0, 4)
  assert world.learnt.numpy().tolist() == [[0, 0], [1, 100], [2, 201], [3, 302]]
  world.run(4, 6)  # goes on with what was chosen
  assert world.learnt.numpy().tolist()[4:] == [[4, 403], [5, 504]]


def _meeting(barrier):
  """An op that only ends once it runs twice at the same time."""
  def wait(number):
    barrier.wait()
    return number

  return lambda number: tf.ensure_shape(
      tf.numpy_function(wait, [number], tf.int64, stateful=False), [])


@pytest.mark.parametrize("ahead", [True, False])
def test_choosing_and_learning_run_at_the_same_time(ahead):
  meet = _meeting(threading.Barrier(2, timeout=120 if ahead else 1))

  def learn(batch, rows):
    return {"loss": tf.cast(meet(batch + rows), tf.float32)}

  batches = tf.data.Dataset.range(3)
  feed, step = overlap.steps(meet, learn, batches, None, True)
  if ahead:
    feed = overlap.with_following(batches)
    step = overlap.side_by_side(meet, learn, _SPEC, tf.Variable(0, dtype=tf.int64))
    assert [float(step(batch)["loss"]) for batch in feed] == [0, 2]
  else:  # the counterpart: in turn they never meet
    with pytest.raises(tf.errors.OpError, match="BrokenBarrier"):
      step(next(iter(feed)))


def test_what_fails_in_choosing_ahead_surfaces_where_the_step_is_called():
  def fail(number):
    if number == 2:
      raise RuntimeError("no index")
    return number

  def choose(batch):
    return tf.ensure_shape(tf.numpy_function(fail, [batch], tf.int64), [])

  chosen = tf.Variable(0, dtype=tf.int64)
  feed, step = overlap.steps(choose, lambda batch, rows: {"loss": rows},
                             tf.data.Dataset.range(5), chosen, True)
  feed = iter(feed)
  assert int(step(next(feed))["loss"]) == 0
  with pytest.raises(tf.errors.OpError, match="no index"):
    step(next(feed))
  assert int(chosen) == 1


def test_each_batch_but_the_last_with_the_one_that_follows():
  assert list(overlap.with_following(range(4))) == [(0, 1), (1, 2), (2, 3)]
  assert not list(overlap.with_following(range(1)))
  assert not list(overlap.with_following(range(0)))


def test_pretraining_ahead_reads_the_batches_and_candidates_of_pretraining_in_turn(tmp_path):
  """With weights that hardly move, age makes no difference."""
  config = {"pretrain__learning_rate": 1e-12, "pretrain__steps": 3}
  corpus = tiny.make_corpus(tmp_path / "corpus")
  losses = []
  for ahead in (False, True):
    loop, _ = stages.train(
        "pretrain", tmp_path / str(ahead), corpus, tiny.make_config(
            tmp_path, pretrain__prefetch_candidates=ahead, **config))
    losses.append([means["loss"] for _, means in loop.log.rows])
    assert all(means["retrieval_wait_seconds"] >= 0 for _, means in loop.log.rows)
  assert len(losses[0]) == 3 and len(set(losses[0])) == 3
  np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
