"""Rows of like lengths together, so that little is padded."""

from typing import Callable, Iterator

import numpy as np


def length_batches(lengths: np.ndarray, batch_tokens: int,
                   round_rows: Callable[[int], int] = int) -> Iterator[np.ndarray]:
  """Splits rows into batches of like lengths, of about `batch_tokens` word pieces.

  Args:
    lengths: [N] int.
    batch_tokens: what a batch may have, padding counted; a longer row is one by itself.
    round_rows: from the rows that a batch may have to those that it gets, at least 1.

  Yields:
    Rows [b] int32, the longest first.
  """
  order = np.argsort(-lengths, kind="stable").astype(np.int32)
  first = 0
  while first < len(order):
    size = round_rows(max(1, int(batch_tokens // max(1, lengths[order[first]]))))
    yield order[first:first + size]
    first += size
