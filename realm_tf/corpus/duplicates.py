"""Blocks that say nearly the same in nearly the same words.

A masked sentence must not be predicted from the block it stands in; nor from a copy of
that block, which would teach the retriever to find copies. In memory and on one core, in
seconds for some ten thousand blocks; not meant for millions. Shape letters: N blocks.
"""

import numpy as np

from realm_tf.corpus.derived import derived
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus

_WIDTH = 5  # word pieces of a shingle
_BANDS, _ROWS = 32, 3  # finds a pair of similarity 0.5 with probability 0.986
_CHUNK = 1 << 16  # blocks at a time, for memory


def stored_banned_rows(corpus: Corpus, similarity: float) -> np.ndarray:
  """As `banned_rows`, made once for a store and kept beside it."""
  return derived(corpus, "near_duplicates", {"version": 1, "similarity": similarity},
                 lambda new: new.append(rows=banned_rows(corpus, similarity)))["rows"]


def banned_rows(corpus: Corpus, similarity: float, most: int = 7) -> np.ndarray:
  """For each block the rows that its sentences must not be predicted from.

  Args:
    corpus: N blocks.
    similarity: from which a block counts as a near duplicate, the Jaccard index of the
      two sets of shingles of 5 word pieces; 0 leaves near duplicates alone.
    most: near duplicates of a block, the most similar ones.

  Returns:
    [N, R] int32: the own row, then near duplicates, -1 for none; R is as large as it
    must be.
  """
  own = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  if not similarity:
    return own
  shingles = _shingles(corpus.body_ids)
  first, second = _similar_pairs(shingles, most)
  alike = np.array([_jaccard(shingles, a, b) for a, b in zip(first, second)])
  near = np.flatnonzero(alike >= similarity) if len(alike) else np.zeros(0, int)
  # Both ways, by block, the most similar first.
  block = np.concatenate([first[near], second[near]])
  other = np.concatenate([second[near], first[near]])
  order = np.lexsort([other, -np.tile(alike[near], 2), block])
  block, other = block[order], other[order]
  rank = np.arange(len(block)) - np.searchsorted(block, block)
  kept = rank < most
  table = np.full([corpus.num_blocks, 1 + rank[kept].max(initial=-1) + 1], -1, np.int32)
  table[:, :1] = own
  table[block[kept], 1 + rank[kept]] = other[kept]
  return table


def _mix(x: np.ndarray) -> np.ndarray:
  """Spreads the bits of uint64 numbers (Steele et al. 2014, splitmix64)."""
  x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return x ^ (x >> np.uint64(31))


def _shingles(ids: Ragged) -> Ragged:
  """Hashes of the runs of `_WIDTH` pieces of each row; a shorter row is one run."""
  pieces = np.append(ids.values, np.zeros(_WIDTH, ids.values.dtype)).astype(np.uint64) + 1
  hashes = np.zeros(len(ids.values), np.uint64)
  ends = np.repeat(ids.splits[1:], ids.lengths)
  places = np.arange(len(ids.values))
  for offset in range(_WIDTH):
    piece = np.where(places + offset < ends, pieces[offset:offset + len(hashes)],
                     np.uint64(0))
    hashes = _mix(hashes * np.uint64(0x9E3779B97F4A7C15) + piece)
  starts = np.repeat(ids.splits[:-1], ids.lengths)
  whole = (places + _WIDTH <= ends) | (places == starts)
  counts = np.add.reduceat(np.append(whole, 0), ids.splits[:-1]) * (ids.lengths > 0)
  return Ragged(hashes[whole], np.concatenate([[0], np.cumsum(counts)]))


def _similar_pairs(shingles: Ragged, most: int) -> tuple[np.ndarray, np.ndarray]:
  """Pairs of rows worth comparing (Broder 1997, MinHash; banded)."""
  seeds = _mix(np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64))
  rows = np.flatnonzero(shingles.lengths)
  pairs = []
  for band in range(_BANDS):
    key = np.zeros(len(rows), np.uint64)
    for seed in seeds[band * _ROWS:(band + 1) * _ROWS]:
      key = _mix(key * np.uint64(31) + _least(shingles, rows, seed))
    order = np.argsort(key, kind="stable")
    for distance in range(1, most + 1):
      same = np.flatnonzero(key[order[distance:]] == key[order[:-distance]])
      pairs.append(np.stack([rows[order[same]], rows[order[same + distance]]]))
  if not pairs:
    return np.zeros(0, int), np.zeros(0, int)
  return tuple(np.unique(np.concatenate(pairs, 1), axis=1))


def _least(shingles: Ragged, rows: np.ndarray, seed: np.uint64) -> np.ndarray:
  """[rows] uint64: the least of each row's hashes, under the hash function `seed`."""
  parts = []
  for begin in range(0, len(rows), _CHUNK):
    chunk = rows[begin:begin + _CHUNK]
    low, high = shingles.splits[chunk[0]], shingles.splits[chunk[-1] + 1]
    parts.append(np.minimum.reduceat(_mix(shingles.values[low:high] ^ seed),
                                     shingles.splits[chunk] - low))
  return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _jaccard(shingles: Ragged, first: int, second: int) -> float:
  a, b = (np.unique(shingles.values[shingles.splits[row]:shingles.splits[row + 1]])
          for row in (first, second))
  common = len(np.intersect1d(a, b, assume_unique=True))
  return common / (len(a) + len(b) - common)
