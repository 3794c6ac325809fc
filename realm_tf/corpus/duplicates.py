"""Blocks that say nearly the same in nearly the same words.

A masked sentence must not be predicted from the block it stands in; nor from a copy of
that block, which would teach the retriever to find copies. Blocks are compared where a band
of their MinHashes is the same (Broder 1997). Bands are sorted on the disk, by the bucket, so
memory does not grow with the corpus. Shape letters: N blocks, n some of them, P pairs.
"""

import functools
import pathlib
from typing import Iterator, Sequence

import numpy as np
from absl import logging

from realm_tf.corpus.buckets import Buckets
from realm_tf.corpus.derived import Share, Writer, derived, here
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus

_WIDTH = 5  # word pieces of a shingle
_BANDS, _ROWS = 32, 3  # finds a pair of similarity 0.5 with probability 0.986
_MOST = 7  # near duplicates of a block, the most similar ones
_CHUNK = 1 << 11  # blocks at a time, so that their hashes stay in the processor's cache
_IN_BUCKET = 1 << 21  # hashes of a bucket, about; and blocks, whose similar ones are one
_SIGNED, _PAIRED = 1 << 15, 1 << 17  # blocks whose bands, and whose pairs, are one's work
_COMPARED = 1 << 12  # pairs at a time
_VERSION = 2  # of what is found

_HASHED = np.dtype([("key", np.uint64), ("row", np.uint32)])
_PAIR = np.dtype([("first", np.uint32), ("second", np.uint32)])
_ALIKE = np.dtype([("block", np.uint32), ("other", np.uint32), ("alike", np.float64)])


def stored_bans(corpus: Corpus, similarity: float, share: Share | None = None
                ) -> np.ndarray:
  """As `banned_rows`, made once for a store and kept beside it; logs how many there are.

  Args:
    corpus, similarity: see there.
    share: works on parts of the corpus; by default this process does. What is kept is the
      same, byte for byte.
  """
  knowledge = corpus.knowledge
  settings = {"version": _VERSION, "similarity": similarity,
              "knowledge": knowledge.hash if knowledge else ""}
  table = derived(corpus, "near_duplicates", settings,
                  lambda new: _write(corpus, similarity, _MOST, new, share))
  with_some, pairs = table["counts"].tolist()
  logging.info("near duplicates (similarity %.2f): %.2f %% of %d blocks have some; %d bans",
               similarity, 100 * with_some / corpus.num_blocks, corpus.num_blocks, pairs)
  return table["rows"]


def banned_rows(corpus: Corpus, similarity: float, most: int = _MOST) -> np.ndarray:
  """For each block the rows that its sentences must not be predicted from.

  Args:
    corpus: N blocks.
    similarity: from which a block counts as a near duplicate, the Jaccard index of the
      two sets of shingles of 5 word pieces; 0 leaves near duplicates alone.
    most: near duplicates of a block, the most similar ones.

  Returns:
    [N, R] int32: the own row, then near duplicates, -1 for none; R is as large as it
    must be. Where `corpus.knowledge` is retrieved, near duplicates there alone.
  """
  new = Writer(None)
  _write(corpus, similarity, most, new, None)
  return new.in_memory()["rows"]


class _Joined:
  """The rows of one corpus, and then those of another."""

  def __init__(self, first: Ragged, second: Ragged):
    self._first, self._second = first, second

  def __len__(self) -> int:
    return len(self._first) + len(self._second)

  def row(self, i: int) -> np.ndarray:
    return self._first.row(i) if i < len(self._first) else self._second.row(
        i - len(self._first))


def _rows(corpus: Corpus) -> tuple[Ragged | _Joined, int]:
  """The pieces of all rows that are compared, and how many come before the corpus's own."""
  knowledge = getattr(corpus, "knowledge", None)
  if not knowledge:
    return corpus.body_ids, 0
  return _Joined(knowledge.body_ids, corpus.body_ids), knowledge.num_blocks


def _write(corpus: Corpus, similarity: float, most: int, new: Writer, share: Share | None
           ) -> None:
  """Writes `rows`, and `counts`: blocks with near duplicates, and these of all blocks."""
  ids, before = _rows(corpus)
  own = int(not before)
  counts = np.zeros(2, np.int64)
  with new.scratch() as folder:
    alike = Buckets(_folder(folder, "alike"), -(-len(ids) // _IN_BUCKET), _ALIKE)
    if similarity:
      _find_alike(corpus, similarity, most, folder, alike, share or here(corpus))
    width = max(1, own + 1 + max(
        int(rank.max(initial=-1)) for *_, rank in _ranked(alike, most, before)))
    for number, (block, other, rank) in enumerate(_ranked(alike, most, before)):
      first = max(number * _IN_BUCKET, before)
      end = max(first, min((number + 1) * _IN_BUCKET, len(ids)))
      table = np.full([end - first, width], -1, np.int32)
      if own:
        table[:, 0] = np.arange(first, end)
      table[block - first, own + rank] = other
      new.append(rows=table)
      counts += (rank == 0).sum(), len(rank)
  new.append(counts=counts)


def _find_alike(corpus: Corpus, similarity: float, most: int, folder: pathlib.Path,
                alike: Buckets, share: Share) -> None:
  """Puts all pairs that are similar into `alike`, both ways, by the block."""
  size = len(_rows(corpus)[0])
  bands = Buckets(_folder(folder, "bands"), max(1, size * _BANDS // _IN_BUCKET), _HASHED)
  for hashed in share(f"signatures {_VERSION}", _signatures, [
      [first, min(first + _SIGNED, size)] for first in range(0, size, _SIGNED)]):
    keys = hashed["key"] >> np.uint64(32)  # by the first bits
    bands.append(keys * np.uint64(len(bands)) >> np.uint64(32), hashed)
  pairs = Buckets(_folder(folder, "pairs"), -(-size // _PAIRED), _PAIR)
  for chunk in share(f"pairs {_VERSION} {most} {len(bands)}",
                     functools.partial(_pairs, bands, most), range(len(bands))):
    pairs.append(chunk["first"] // _PAIRED, chunk)
  for edges in share(f"alike {_VERSION} {most} {_PAIRED} {similarity}",
                     functools.partial(_alike, pairs, similarity), range(len(pairs))):
    alike.append(edges["block"] // _IN_BUCKET, edges)


def _ranked(alike: Buckets, most: int, before: int
            ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Yields [P] blocks from `before` on, near duplicates, and how many are more similar."""
  for edges in alike:
    edges = edges[edges["block"] >= before]
    edges = edges[np.lexsort([edges["other"], -edges["alike"], edges["block"]])]
    rank = np.arange(len(edges)) - np.searchsorted(edges["block"], edges["block"])
    is_near = rank < most
    yield (edges["block"][is_near].astype(int), edges["other"][is_near].astype(int),
           rank[is_near])


def _folder(parent: pathlib.Path, name: str) -> pathlib.Path:
  (parent / name).mkdir()
  return parent / name


def _signatures(corpus: Corpus, part: Sequence[int]) -> np.ndarray:
  """The bands of the rows from one on, up to another."""
  (begin, stop), (ids, _) = part, _rows(corpus)
  seeds = _mix(np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64))
  chunks: list[np.ndarray] = [np.empty(0, _HASHED)]
  for first in range(begin, stop, _CHUNK):
    end = min(first + _CHUNK, stop)
    shingles = _shingles(Ragged.from_rows([ids.row(row) for row in range(first, end)]))
    with_some = np.flatnonzero(shingles.lengths)
    hashed = np.empty([_BANDS, len(with_some)], _HASHED)
    hashed["row"] = first + with_some
    for band in range(_BANDS):
      key = np.full(len(with_some), band, np.uint64)  # so that bands differ from each other
      for seed in seeds[band * _ROWS:(band + 1) * _ROWS]:
        key = _mix(key * np.uint64(31) + _least(shingles, with_some, seed))
      hashed["key"][band] = key
    chunks.append(hashed.ravel())
  return np.concatenate(chunks)


def _pairs(bands: Buckets, most: int, corpus: Corpus, bucket: int) -> np.ndarray:
  """Pairs [P] of rows with a band in common, of a bucket, that are close in its order.

  Where other rows come before those of the corpus, each of its rows and the last of these.
  """
  _, before = _rows(corpus)
  hashed = bands[bucket]
  hashed = hashed[np.argsort(hashed["key"], kind="stable")]
  key, row = hashed["key"], hashed["row"]
  place = np.arange(len(key))
  new = place[row >= before]
  # Rows of the same key are in order: those before come first.
  nearest = np.maximum.accumulate(np.where(row < before, place, -1))[new] if before else new
  chunks: list[np.ndarray] = [np.empty(0, _PAIR)]
  for distance in range(most) if before else range(-1, -most - 1, -1):
    at = nearest - distance
    same_key = (at >= 0) & (at < len(key))
    same_key[same_key] = key[at[same_key]] == key[new[same_key]]
    pairs = np.empty(int(same_key.sum()), _PAIR)
    pairs["first"], pairs["second"] = row[new[same_key]], row[at[same_key]]
    chunks.append(np.unique(pairs))
  return np.concatenate(chunks)


def _alike(pairs: Buckets, similarity: float, corpus: Corpus, bucket: int) -> np.ndarray:
  """Those pairs of a bucket that are similar, both ways."""
  (ids, _), unique = _rows(corpus), np.unique(pairs[bucket])
  return np.concatenate([np.empty(0, _ALIKE), *(
      _compared(ids, unique[first:first + _COMPARED], similarity)
      for first in range(0, len(unique), _COMPARED))])


def _compared(ids: Ragged | _Joined, pairs: np.ndarray, similarity: float) -> np.ndarray:
  """Those of the pairs that are similar, both ways."""
  rows = np.unique(np.concatenate([pairs["first"], pairs["second"]])).astype(int)
  shingles = _shingles(Ragged.from_rows([ids.row(row) for row in rows]))
  places = (np.searchsorted(rows, pairs[side]) for side in ("first", "second"))
  alike = np.array([_jaccard(shingles, *pair) for pair in zip(*places)])
  is_alike = alike >= similarity
  edges = np.empty([2, int(is_alike.sum())], _ALIKE)
  edges["block"], edges["other"] = (
      [pairs[is_alike][side] for side in sides] for sides in (("first", "second"),
                                                              ("second", "first")))
  edges["alike"] = alike[is_alike]
  return edges.ravel()


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


def _least(shingles: Ragged, rows: np.ndarray, seed: np.uint64) -> np.ndarray:
  """[rows] uint64: the least of each row's hashes, under the hash function `seed`."""
  if not len(rows):
    return np.zeros(0, np.uint64)
  return np.minimum.reduceat(_mix(shingles.values ^ seed), shingles.splits[rows])


def _jaccard(shingles: Ragged, first: int, second: int) -> float:
  a, b = (np.unique(shingles.values[shingles.splits[row]:shingles.splits[row + 1]])
          for row in (first, second))
  common = len(np.intersect1d(a, b, assume_unique=True))
  return common / (len(a) + len(b) - common)
