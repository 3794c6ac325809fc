"""Incremental refresh: the rows that are retrieved most lately, embedded before the rest.

Shape letters: N rows, H hot rows, n rows that this process holds, D projection.
"""

import math
from typing import Callable

import numpy as np
import tensorflow as tf

from realm_tf.index.embed import OnRows
from realm_tf.index.interface import RowIndex

EmbedInto = Callable[[np.ndarray, np.ndarray, OnRows], None]


def hottest(counts: np.ndarray, most: int) -> np.ndarray:
  """Rows [H] int32 of the highest counts, at most so many, none that was never counted."""
  rows = np.argsort(-counts, kind="stable")[:most]
  return rows[counts[rows] > 0].astype(np.int32)


class HotRows(tf.Module):
  """Counts how often each row was retrieved, and knows which rows are ahead of the index.

  `note` is part of the graph of a step, `embed` is called on the refresh's thread, all else
  on the trainer's, between two steps; so nothing here needs a lock. Processes that share
  an index retrieve the same, so they count the same and find the same rows hot.

  Attributes:
    counts: [N] float32 variable: retrievals, those before each refresh halved.
    ahead: [N] int64 variable: the step of each row that was embedded ahead of the rest; that
      of the index counts where it is later.
  """

  def __init__(self, index: RowIndex, num_rows: int, share: float, embed_into: EmbedInto):
    """No row is hot yet.

    Args:
      index: from which rows are retrieved.
      num_rows: N.
      share: of the rows, which are embedded first.
      embed_into: embeds rows [H] of those that this process holds into their places in a
        table [n, D]; calls the third argument after each batch.
    """
    super().__init__(name="hot_rows")
    self._index, self._embed_into = index, embed_into
    self._most = math.ceil(share * num_rows)
    with tf.device("CPU"):
      self.counts = tf.Variable(tf.zeros([num_rows]), trainable=False, name="counts")
      self.ahead = tf.Variable(tf.fill([num_rows], tf.constant(-1, tf.int64)),
                               trainable=False, name="ahead")
      self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
      self._staleness = tf.Variable(math.nan, dtype=tf.float64, trainable=False,
                                    name="staleness")
    self._lately = self._rows = np.zeros([0])  # counts, and rows, of the refresh that runs

  def note(self, rows: tf.Tensor) -> None:
    """Takes in what a step retrieved, in its graph: rows [...] int32."""
    rows = tf.reshape(rows, [-1])
    self.counts.scatter_add(tf.IndexedSlices(tf.ones(tf.shape(rows)), rows))
    steps = tf.maximum(tf.gather(self.ahead, rows), self._index.step)
    self._staleness.assign(tf.reduce_mean(tf.cast(self._step - steps, tf.float64)))

  def at(self, step: int) -> None:
    """The step that comes now."""
    self._step.assign(step)

  def begin(self) -> None:
    """A refresh begins, for which what was retrieved until now counts."""
    self._lately = self.counts.numpy()
    self.counts.assign(self._lately / 2)

  def embed(self, check: OnRows) -> np.ndarray:
    """[n, D]: the hot rows as they are now, the others as the index has them."""
    self._rows = hottest(self._lately, self._most)
    table = self._index.rows()
    first, end = self._index.share or (0, len(table))
    self._embed_into(self._rows[(self._rows >= first) & (self._rows < end)], table, check)
    return table

  def swapped(self, step: int) -> int:
    """That table is searched now, its hot rows of step `step`; returns H."""
    self.ahead.scatter_update(tf.IndexedSlices(
        tf.fill([len(self._rows)], tf.constant(step, tf.int64)), self._rows))
    return len(self._rows)

  def metrics(self) -> dict[str, float]:
    """`retrieved_staleness`: in steps, the mean over what was retrieved last."""
    value = float(self._staleness)
    return {} if math.isnan(value) else {"retrieved_staleness": value}
