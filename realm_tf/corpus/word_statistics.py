"""How many blocks hold which word pieces: by it words are weighed."""

from typing import NamedTuple, Sequence

import numpy as np

from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus

_ROWS = 100_000  # at a time


class WordStatistics(NamedTuple):
  """What BM25 knows of a corpus."""
  num_blocks: int
  holding: np.ndarray  # [V] int64: see `blocks_holding`
  mean_length: float  # of title and body, in word pieces


def word_statistics(corpus: Corpus) -> WordStatistics:
  """Of titles and bodies of a corpus; [PAD], [CLS] and other special tokens are no words."""
  parts = corpus.title_ids, corpus.body_ids
  tokenizer = corpus.tokenizer
  holding = blocks_holding(parts, tokenizer.vocab_size)
  holding[list(tokenizer.special_ids)] = 0
  return WordStatistics(corpus.num_blocks, holding,
                        sum(float(part.lengths.mean()) for part in parts))


def blocks_holding(parts: Sequence[Ragged], vocabulary: int) -> np.ndarray:
  """In how many rows each piece stands, in whichever of their parts: [V] int64.

  Args:
    parts: N rows each.
    vocabulary: V; all values are below.
  """
  holding = np.zeros([vocabulary], np.int64)
  for first in range(0, len(parts[0]), _ROWS):
    end = min(first + _ROWS, len(parts[0]))
    places = np.concatenate([
        np.repeat(np.arange(end - first), part.lengths[first:end]) * vocabulary
        + part.part(first, end) for part in parts])
    holding += np.bincount(np.unique(places) % vocabulary, minlength=vocabulary)
  return holding
