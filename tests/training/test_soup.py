"""Several trainings of a stage, whose weights are averaged."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.distribute.processes import SINGLE_PROCESS
from realm_tf.errors import UserError
from realm_tf.training import soup
from realm_tf.training.judging import Judge
from realm_tf.training.loop import Loop
from realm_tf.training.optimizer import AdamW
from tests import tiny
from tests.training import stages


def _weights(model):
  return [variable.numpy() for variable in model.encoder.variables]


def _config(folder, **changes):
  return tiny.make_config(folder, finetune__steps=6, finetune__beam_size=25,
                          finetune__read_answer=True, finetune__retriever_rate=0.0, **changes)


def _saved_encoder(folder, model):
  """What a training ended with, by its own checkpoint: in the order of the variables."""
  checkpoint = tf.train.Checkpoint(model=model)
  checkpoint.restore(tf.train.latest_checkpoint(folder / "checkpoints")).expect_partial()
  return _weights(model)


def test_the_model_is_the_mean_of_trainings_in_different_orders(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  _, alone = stages.train("finetune", tmp_path / "alone", corpus, _config(tmp_path))
  _, model = stages.train("finetune", tmp_path / "soup", corpus,
                          _config(tmp_path, finetune__soup=3))
  averaged = _weights(model)
  members = [_saved_encoder(tmp_path / "soup" / place, model)
             for place in ("", "training-2", "training-3")]
  for first, weights in zip(members[0], _weights(alone), strict=True):
    np.testing.assert_allclose(first, weights, atol=1e-5)
  for mean, *weights in zip(averaged, *members, strict=True):
    np.testing.assert_allclose(mean, sum(weights) / 3, atol=1e-6)
  for one, other in ((0, 1), (0, 2), (1, 2)):  # beyond what sums in another order may do
    assert max(np.abs(a - b).max() for a, b in zip(members[one], members[other])) > 1e-4


def test_a_training_that_is_done_is_not_done_again(tmp_path, monkeypatch):
  """Stopped in the middle of the second, it goes on there, and ends as if it never had."""
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = _config(tmp_path, finetune__soup=2, checkpoint_every=4)
  _, uninterrupted = stages.train("finetune", tmp_path / "whole", corpus, config)

  class Killed(Exception):
    pass

  steps, really_run = [], Loop.run

  def run(self, batches, step, **more):
    def counted(batch):
      steps.append(self.first_step)
      if len(steps) == kill_at:
        raise Killed
      return step(batch)
    really_run(self, batches, counted, **more)

  monkeypatch.setattr(Loop, "run", run)
  kill_at = 6 + 6  # the last step of the second, after its checkpoint of step 4
  with pytest.raises(Killed):
    stages.train("finetune", tmp_path / "killed", corpus, config)
  kill_at = 0
  steps.clear()
  _, resumed = stages.train("finetune", tmp_path / "killed", corpus, config)
  assert steps == [4, 5]
  for one, other in zip(_weights(resumed), _weights(uninterrupted), strict=True):
    np.testing.assert_allclose(one, other, atol=1e-5)


class _Toy:
  """Trainings that end with these weights; a judge who finds the nearer to 5 the better."""

  def __init__(self, folder, ends):
    self.variable, self.ends = tf.Variable([0.0]), ends
    self.folder, self.measured, self.starts = folder, [], []
    self.optimizer = AdamW(0.1).build([self.variable])

  def train(self, number, folder, judge):
    self.starts.append(float(self.variable[0]))
    loop = Loop(f"toy {number}", folder, 2, {"variable": self.variable}, 0, judge=judge)

    def step(batch):
      self.variable.assign(self.ends[number] * batch / 2)
      return {"loss": tf.constant(1.0)}

    loop.run(tf.data.Dataset.from_tensor_slices([[1.0], [2.0]]).skip(loop.first_step), step)
    return loop

  def measure(self, step):
    self.measured.append((step, float(self.variable[0])))
    return {"dev_score": -abs(float(self.variable[0]) - 5.0)}

  def run(self):
    return soup.train_soup(len(self.ends), self.folder, [self.variable], self.optimizer,
                           self.train, Judge(self.measure, "dev_score", every=2),
                           SINGLE_PROCESS)


def test_the_mean_is_measured_and_the_start_once(tmp_path):
  toy = _Toy(tmp_path, [3.0, 6.0])
  trained = toy.run()
  assert float(toy.variable[0]) == 4.5 and toy.starts == [0.0, 0.0]
  assert toy.measured == [(0, 0.0), (2, 3.0), (2, 6.0), (2, 4.5)]
  assert trained.facts == {
      "steps": 2, "trainings": 2, "dev_score_of_trainings": [-2.0, -1.0],
      "dev_score_of_mean": -0.5, "dev_score": -0.5}


def test_a_mean_that_is_worse_than_the_best_but_not_than_most_stays(tmp_path):
  """The best of some owes that to chance, too."""
  toy = _Toy(tmp_path, [5.0, 2.0, 3.5])
  toy.run()
  assert float(toy.variable[0]) == pytest.approx(3.5)


def test_a_mean_between_two_basins_gives_way_to_the_best(tmp_path, caplog):
  toy = _Toy(tmp_path, [8.5, 4.25])
  toy.measure = lambda step: {"dev_score": -min(abs(float(toy.variable[0]) - basin)
                                                for basin in (4.0, 8.0))}
  trained = toy.run()
  assert float(toy.variable[0]) == 4.25 and trained.facts["dev_score"] == -0.25
  assert trained.facts["dev_score_of_mean"] == -1.625
  assert any("the model is that of training 2" in message for message in caplog.messages)


def test_neighbouring_seeds_share_no_order():
  seeds = [soup.order_seed(seed, training) for seed in range(100) for training in range(100)]
  assert len(set(seeds)) == len(seeds)
  assert soup.order_seed(7, 0) == 7 and 0 <= soup.order_seed(2**31 - 2, 99) < 2**31 - 1


def test_a_best_metric_besides_is_refused(tmp_path):
  with pytest.raises(UserError, match="finetune.soup: expected 1 with best_metric"):
    tiny.make_config(tmp_path, best_metric="loss", finetune__soup=2)


def test_two_devices_average_as_one_does(tmp_path, mirrored):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = _config(tmp_path, finetune__soup=2)
  _, alone = stages.train("finetune", tmp_path / "alone", corpus, config)
  _, shared = stages.train("finetune", tmp_path / "shared", corpus, config, mirrored)
  for one, other in zip(_weights(alone), _weights(shared), strict=True):
    np.testing.assert_allclose(other, one, atol=2e-4)
