"""Which blocks a document has, by its id: made once for a store, and mapped into memory.

Hashes of ids, sorted by the bucket on the disk. So nothing is held that grows with the
corpus, to know what is in it. Shape letters: N blocks, E runs of blocks of one document.
"""

import hashlib
import itertools
from typing import Iterator

import numpy as np

from realm_tf.corpus.buckets import Buckets
from realm_tf.corpus.derived import DerivedArrays, Writer, derived
from realm_tf.corpus.store import Corpus

_IN_BUCKET = 1 << 20  # runs, about
_AT_A_TIME = 1 << 16  # runs that are put into buckets
_RUN = np.dtype([("hash", np.uint64), ("first", np.uint32), ("blocks", np.uint32)])


class DocumentRows:
  """A container of the ids of documents; its length is how many there are."""

  def __init__(self, corpus: Corpus, arrays: DerivedArrays):
    """See `document_rows`; arrays: `hash` [E] uint64, ascending, `first` and `blocks` [E]."""
    self._ids, self._arrays = corpus.document_ids, arrays

  def __len__(self) -> int:
    return int(self._arrays["documents"][0])

  def __contains__(self, name: object) -> bool:
    return isinstance(name, str) and bool(len(self.of(name)))

  def of(self, name: str) -> np.ndarray:
    """The blocks of a document: [B] int64, ascending; none where it is not there."""
    rows = [np.zeros(0, np.int64)]
    try:
      wanted = _hash(name)
    except UnicodeEncodeError:  # half a surrogate pair, or a byte of an argument: in no id
      return rows[0]
    hashes = self._arrays["hash"]
    for run in range(int(np.searchsorted(hashes, wanted)), len(hashes)):
      if hashes[run] != wanted:
        break
      first = int(self._arrays["first"][run])
      if self._ids[first] == name:  # a hash is a hint only: others may have it
        rows.append(np.arange(first, first + int(self._arrays["blocks"][run])))
    return np.concatenate(rows)


def document_rows(corpus: Corpus) -> DocumentRows:
  """The documents of a corpus; made once for a store and kept beside it."""
  return DocumentRows(corpus, derived(corpus, "documents", {"version": 1},
                                      lambda new: _write(corpus, new)))


def _write(corpus: Corpus, new: Writer) -> None:
  documents = 0
  new.append(hash=np.zeros(0, np.uint64), first=np.zeros(0, np.uint32),
             blocks=np.zeros(0, np.uint32))
  with new.scratch() as folder:
    buckets = Buckets(folder, 1 + corpus.num_blocks // _IN_BUCKET, _RUN)
    for runs in _runs(corpus):
      numbers = (runs["hash"] >> np.uint64(32)) * np.uint64(len(buckets)) >> np.uint64(32)
      buckets.append(numbers, runs)
    for runs in buckets:
      runs = runs[np.lexsort([runs["first"], runs["hash"]])]
      documents += len(runs) - _repeated(corpus, runs)
      new.append(**{name: runs[name] for name in _RUN.fields or ()})
  new.append(documents=np.array([documents]))


def _runs(corpus: Corpus) -> Iterator[np.ndarray]:
  """Yields [E] runs, some at a time."""
  row = 0

  def described() -> Iterator[tuple[np.uint64, int, int]]:
    nonlocal row
    for name, group in itertools.groupby(corpus.document_ids):
      first, row = row, row + sum(1 for _ in group)
      yield _hash(name), first, row - first

  runs = described()
  while some := list(itertools.islice(runs, _AT_A_TIME)):
    yield np.array(some, _RUN)


def _repeated(corpus: Corpus, runs: np.ndarray) -> int:
  """How many of the sorted runs are of a document that an earlier one is of, too."""
  count = 0
  for place in np.flatnonzero(runs["hash"][1:] == runs["hash"][:-1]) + 1:
    name, before = corpus.document_ids[runs["first"][place]], place - 1
    while before >= 0 and runs["hash"][before] == runs["hash"][place]:
      if corpus.document_ids[runs["first"][before]] == name:
        count += 1
        break
      before -= 1
  return count


def _hash(name: str) -> np.uint64:
  return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()))
