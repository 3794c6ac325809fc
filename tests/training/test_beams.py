"""Which blocks of a beam are read, beside a plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.training.beams import bring_answer, own_blocks


def _by_loop(rows, holds, own, read):
  rows = list(rows)
  if own >= 0 and own not in rows:
    rows[-1] = own
  right = [row == own if own >= 0 else held for row, held in zip(rows, holds)]
  if True in right and right.index(True) >= read:
    rows.insert(read - 1, rows.pop(right.index(True)))
  return rows


@pytest.mark.parametrize("read", [1, 3, 7])
def test_the_positive_is_read(read):
  rng = np.random.default_rng(0)
  rows = np.stack([rng.permutation(9)[:7] for _ in range(200)]).astype(np.int32)
  holds = rng.random([200, 7]) < 0.15
  own = np.where(rng.random(200) < 0.5, rng.integers(0, 9, 200), -1).astype(np.int32)
  found = bring_answer(tf.constant(rows), tf.constant(holds), tf.constant(own), read).numpy()
  np.testing.assert_array_equal(found, [
      _by_loop(*one, read) for one in zip(rows, holds, own)])
  assert (found != rows).any() and (found == rows).all(1).any()


def test_own_blocks_are_the_first_of_the_passage():
  gold = [np.array([4, 2], np.int32), np.array([], np.int32)]
  assert own_blocks(gold).numpy().tolist() == [4, -1]
