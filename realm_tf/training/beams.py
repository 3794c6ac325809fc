"""Which blocks of a beam the reader reads while it learns.

Shape letters: B batch, W beam, R read blocks, Q questions.
"""

from typing import Sequence

import numpy as np
import tensorflow as tf


def gold_blocks(gold: Sequence[np.ndarray]) -> tf.Tensor:
  """A block of each question's gold passage, [Q] int32; -1 where it names none.

  Args:
    gold: by question, the blocks of its passage, see `examples.mined.gold_rows`.
  """
  return tf.constant([rows[0] if len(rows) else -1 for rows in gold], tf.int32)


def bring_answer(rows: tf.Tensor, holds: tf.Tensor, gold: tf.Tensor, read_blocks: int
                 ) -> tf.Tensor:
  """Puts a block that answers the question among those that are read, as the last of them.

  A question none of whose read blocks holds an answer has no reader loss: what was computed
  for it is lost. So DPR's reader always reads a positive beside what was retrieved
  (Karpukhin et al. 2020, arXiv 2004.04906, section 6.1). Where a question names its passage,
  that is the positive: other blocks hold its answer by chance too.

  Args:
    rows: [B, W] int32: the beam, best first.
    holds: [B, W] bool: whether an answer stands in the block.
    gold: [B] int32: a block of the question's gold passage, or -1.
    read_blocks: R, at most W.

  Returns:
    [B, W] int32: the same blocks, the positive before those that are not read. A gold block
    that the beam does not have takes the place of its last. Where the positive is read
    anyhow, or there is none, nothing changes.
  """
  lacking = (gold >= 0) & ~tf.reduce_any(rows == gold[:, None], 1)
  rows = tf.concat([rows[:, :-1], tf.where(lacking, gold, rows[:, -1])[:, None]], 1)
  wanted = tf.where(gold[:, None] >= 0, rows == gold[:, None], holds)  # [B, W]
  first = tf.argmax(wanted, 1, tf.int32)
  moved = tf.reduce_any(wanted, 1) & (first >= read_blocks)
  places = tf.range(tf.shape(rows)[1])[None]
  last_read = 2 * (read_blocks - 1)
  keys = tf.where(moved[:, None] & (places == first[:, None]), last_read - 1, 2 * places)
  return tf.gather(rows, tf.argsort(keys, stable=True), batch_dims=1)
