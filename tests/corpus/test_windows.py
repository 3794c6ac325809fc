"""Windows of blocks against a search of all windows."""

import numpy as np
import tensorflow as tf

from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.windows import best_windows, piece_weights


def _brute_force(body, sentence, weights, width):
  """The first of the heaviest windows, then moved so that what matches is in its middle."""
  if len(body) <= width:
    return body
  gains = [weights[piece] if piece in sentence else 0 for piece in body]
  sums = [sum(gains[start:start + width]) for start in range(len(body))]
  start = min(int(np.argmax(sums)), len(body) - width)
  places = [p for p in range(start, start + width) if gains[p] > 0]
  if places:
    spare = width - (places[-1] - places[0] + 1)
    start = min(max(places[0] - spare // 2, 0), len(body) - width)
  return body[start:start + width]


def test_the_best_window_is_that_of_all_windows():
  rng = np.random.default_rng(0)
  weights = rng.integers(0, 5, 30).astype(np.float32)
  for width in (1, 4, 7):
    bodies = [rng.integers(0, 30, rng.integers(0, 20)).tolist() for _ in range(40)]
    sentences = [rng.integers(0, 30, rng.integers(0, 6)).tolist() for _ in range(40)]
    windows = best_windows(
        *(tf.ragged.constant(rows, tf.int32) for rows in (bodies, sentences)),
        tf.constant(weights), width)
    expected = [_brute_force(*rows, weights, width) for rows in zip(bodies, sentences)]
    assert windows.to_list() == expected


def test_pieces_weigh_as_they_are_rare():
  bodies = Ragged.from_rows([np.array([1, 2, 2]), np.array([1, 3]), np.array([1]),
                             np.array([], int)])
  np.testing.assert_allclose(piece_weights(bodies, 5, (3,)), [
      0, np.log(4 / 3), np.log(4), 0, 0], rtol=1e-6)
