"""Which blocks of a beam are read, beside a plain loop."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.training.beams import bring_answer, gold_blocks


def _by_loop(rows, holds, gold, read):
  rows = list(rows)
  if gold >= 0 and gold not in rows:
    rows[-1] = gold
  right = [row == gold if gold >= 0 else held for row, held in zip(rows, holds)]
  if True in right and right.index(True) >= read:
    rows.insert(read - 1, rows.pop(right.index(True)))
  return rows


@pytest.mark.parametrize("read", [1, 3, 7])
def test_the_positive_is_read(read):
  rng = np.random.default_rng(0)
  rows = np.stack([rng.permutation(9)[:7] for _ in range(200)]).astype(np.int32)
  holds = rng.random([200, 7]) < 0.15
  gold = np.where(rng.random(200) < 0.5, rng.integers(0, 9, 200), -1).astype(np.int32)
  moved = bring_answer(tf.constant(rows), tf.constant(holds), tf.constant(gold), read).numpy()
  np.testing.assert_array_equal(moved, [
      _by_loop(*arguments, read) for arguments in zip(rows, holds, gold)])
  assert (moved != rows).any() and (moved == rows).all(1).any()


def test_own_blocks_are_the_first_of_the_passage():
  gold = [np.array([4, 2], np.int32), np.array([], np.int32)]
  assert gold_blocks(gold).numpy().tolist() == [4, -1]
