"""The window of a block in which it matches a sentence best: short blocks, so more of them.

What a block can say of a sentence mostly stands near the words that both have. Read there
alone, a block costs what its window costs, and K may be larger in the same time: the
encoder's work grows with the pieces that it reads. The match is that of a sparse retriever,
each piece by how rare it is (inverse document frequency: Spärck Jones 1972), since what is
masked is not known to it.

Shape letters: P pairs, T tokens, N blocks, V vocabulary.
"""

import numpy as np
import tensorflow as tf

from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.word_statistics import blocks_holding


def piece_weights(bodies: Ragged, vocabulary: int, special: tuple[int, ...]) -> np.ndarray:
  """log(N / blocks that hold it) of each piece: [V] float32.

  0 of those that no block holds, and of `special`, which match nothing.
  """
  holding = blocks_holding([bodies], vocabulary)
  weights = np.log(len(bodies) / np.maximum(holding, 1)) * (holding > 0)
  weights[list(special)] = 0
  return weights.astype(np.float32)


def best_windows(bodies: tf.RaggedTensor, sentences: tf.RaggedTensor, weights: tf.Tensor,
                 width: int) -> tf.RaggedTensor:
  """Cuts each body to the window of at most `width` pieces that matches its sentence best.

  The best is the first of those with the largest sum of weights over the pieces that the
  sentence has too; what matches stands in its middle, as far as the body reaches.

  Args:
    bodies, sentences: [P, (T)] int32.
    weights: [V] float32, see `piece_weights`.
    width: pieces, at least 1.

  Returns:
    [P, (T)] int32.
  """
  lengths = tf.cast(bodies.row_lengths(), tf.int32)
  pieces = bodies.to_tensor(-1)  # [P, T]
  shared = tf.reduce_any(pieces[:, :, None] == sentences.to_tensor(-2)[:, None], 2)
  gains = tf.where(shared, tf.gather(weights, tf.maximum(pieces, 0)), 0.0)
  matched = tf.where(gains > 0)
  last = tf.maximum(lengths - width, 0)  # where the last window begins
  first = tf.minimum(_best_start(gains, width), last)
  row, place = tf.cast(matched[:, 0], tf.int32), tf.cast(matched[:, 1], tf.int32)
  start = tf.gather(first, row)
  inside = (place >= start) & (place < start + width)
  row, place = tf.boolean_mask(row, inside), tf.boolean_mask(place, inside)
  # Segments without a match are the least and the greatest numbers; they stay at `first`.
  rows = tf.shape(lengths)[0]
  low = tf.math.unsorted_segment_min(place, row, rows)
  high = tf.math.unsorted_segment_max(place, row, rows)
  spare = width - (high - low + 1)
  centred = tf.clip_by_value(low - spare // 2, 0, last)
  first = tf.where(low <= high, centred, first)
  return _cut(bodies, first, tf.minimum(first + width, lengths))


def _best_start(gains: tf.Tensor, width: int) -> tf.Tensor:
  """[P, T] -> [P] int32: the first start of the heaviest `width` places."""
  sums = tf.cumsum(tf.pad(gains, [[0, 0], [1, width]]), 1)  # [P, T + 1 + width]
  windows = sums[:, width:] - sums[:, :-width]  # [P, T + 1]
  return tf.argmax(windows, 1, tf.int32)


def _cut(rows: tf.RaggedTensor, first: tf.Tensor, end: tf.Tensor) -> tf.RaggedTensor:
  """Pieces [first, end) of each row."""
  begins = tf.cast(rows.row_starts(), tf.int32)
  places = tf.ragged.range(begins + first, begins + end)
  return places.with_values(tf.gather(rows.values, places.values))
