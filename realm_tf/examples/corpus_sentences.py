"""The sentences of a corpus as rows of a table.

Shape letters: X sentences.
"""

from typing import NamedTuple

import numpy as np

from realm_tf.corpus.store import Corpus

SHORTEST = 8  # word pieces: less says too little to retrieve by


class Sentences(NamedTuple):
  """Where sentences stand."""
  row: np.ndarray  # [X] int32: block
  start: np.ndarray  # [X] int32: token index in the body
  end: np.ndarray  # [X] int32


def all_sentences(corpus: Corpus) -> Sentences:
  """Every sentence of every block, in their order."""
  starts, lengths = corpus.sentence_starts, corpus.body_ids.lengths
  row = np.repeat(np.arange(corpus.num_blocks, dtype=np.int32), starts.lengths)
  end = np.append(starts.values[1:], 0).astype(np.int32)
  last = starts.splits[1:][starts.lengths > 0] - 1
  end[last] = lengths[starts.lengths > 0]
  return Sentences(row, starts.values, end)
