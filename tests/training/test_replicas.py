"""Loss and gradients do not depend on how many replicas and parts there are."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.training import replicas
from tests import tiny
from tests.training import stages

_CHANGES = {f"{stage}__{field}": value for stage in stages.STAGES
            for field, value in (("steps", 1), ("batch_size", 8), ("clip_norm", 0.1))}


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("replicas")
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return folder, tiny.make_corpus(folder / "corpus")


@pytest.fixture(name="mirrored", scope="module")
def _mirrored():
  # One for all: TensorFlow confuses the collectives of two strategies in one process.
  strategy = replicas.make_strategy("mirrored")
  assert strategy.num_replicas_in_sync == 2
  return strategy


def _gradients(stage, world, folder, strategy=None, **changes):
  """The loss of the first step, and its clipped gradient: Adam's first moment x 10."""
  config = tiny.make_config(world[0], write=False, checkpoint_every=1, **_CHANGES,
                            **changes)
  loop, _ = stages.train(stage, folder, world[1], config, strategy)
  moments = {name: value for name, value in stages.saved(folder).items()
             if ".OPTIMIZER_SLOT" in name and "/m/" in name}
  assert len(moments) > 20
  return loop.log.rows[-1][1], moments


@pytest.mark.parametrize("stage", stages.STAGES)
def test_two_replicas_with_two_parts_each_are_one_device(
    world, mirrored, tmp_path, stage):
  loss = {"pretrain__loss": "per_mask"}
  metrics, gradients = _gradients(stage, world, tmp_path / "one", **loss)
  ours, by_replicas = _gradients(stage, world, tmp_path / "two", mirrored, **loss,
                                 **{f"{stage}__accumulate": 2})
  assert {name: ours[name] for name in metrics} == pytest.approx(metrics, 2e-4, 1e-5)
  assert by_replicas.keys() == gradients.keys()
  for name, expected in gradients.items():
    np.testing.assert_allclose(by_replicas[name], expected, rtol=1e-3, atol=1e-6,
                               err_msg=name)


def test_own_first_has_the_gradient_of_a_plain_concatenation(mirrored):
  rng = np.random.default_rng(0)
  values, weights = rng.normal(size=[4, 3]), rng.normal(size=[2, 4, 3])

  def step():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    own = tf.constant(values)[2 * replica:2 * replica + 2]
    with tf.GradientTape() as tape:
      tape.watch(own)
      everything = replicas.own_first(own)
      loss = tf.reduce_sum(everything ** 2 * tf.gather(weights, replica))
    return everything, tape.gradient(loss, own)

  everything, gradients = tf.function(lambda: mirrored.run(step))()
  orders = [[0, 1, 2, 3], [2, 3, 0, 1]]
  for replica, order in enumerate(orders):
    np.testing.assert_array_equal(everything.values[replica], values[order])
    # Its rows stand first with itself, last with the other.
    own = values[order[:2]]
    expected = 2 * own * (weights[replica, :2] + weights[1 - replica, 2:])
    np.testing.assert_allclose(gradients.values[replica], expected)


def test_a_batch_that_cannot_be_shared_out_is_an_error(mirrored):
  with pytest.raises(UserError, match="batch_size: 6 is not a multiple of 2 replicas x 2"):
    replicas.replicated(mirrored, lambda batch: {}, None, 6, 2)


@pytest.mark.parametrize("value", ["", "{}", "not json", '{"cluster": {"worker": ["a:1"]}, '
                                   '"task": {"type": "worker", "index": 1}}'])
def test_bad_tf_config_is_an_error(monkeypatch, value):
  monkeypatch.setenv("TF_CONFIG", value)
  with pytest.raises(UserError, match="TF_CONFIG: expected"):
    replicas.make_strategy("multi_worker")
