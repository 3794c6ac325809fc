"""The order of examples: a permutation per epoch, decided by seed and step."""

import numpy as np

from realm_tf.examples.order import shuffled_batches


def _indices(**settings):
  settings = {"num_examples": 10, "batch_size": 4, "seed": 3, "first_step": 0,
              "last_step": 10, **settings}
  return np.concatenate([index for _, index in shuffled_batches(**settings)
                         .as_numpy_iterator()])


def test_each_epoch_is_a_permutation_and_epochs_differ():
  epochs = _indices().reshape(4, 10)
  assert all(sorted(epoch) == list(range(10)) for epoch in epochs.tolist())
  assert len({tuple(epoch) for epoch in epochs.tolist()}) == 4


def test_a_run_resumed_at_a_step_sees_what_the_first_would_have_seen():
  np.testing.assert_array_equal(_indices(first_step=6), _indices()[24:])


def test_seeds_give_other_orders():
  assert (_indices(seed=1) != _indices(seed=2)).any()
