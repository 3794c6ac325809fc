"""The sentences of a corpus as rows of a table.

Shape letters: X sentences.
"""

from typing import Callable, NamedTuple

import numpy as np

from realm_tf.corpus.derived import Writer, derived
from realm_tf.corpus.store import Corpus
from realm_tf.examples.salient_support import parts_of

SHORTEST = 8  # word pieces: less says too little to retrieve by


class Sentences(NamedTuple):
  """Where sentences stand."""
  row: np.ndarray  # [X] int32: block
  start: np.ndarray  # [X] int32: token index in the body
  end: np.ndarray  # [X] int32


def sentences_of(corpus: Corpus, first: int, end: int) -> Sentences:
  """Every sentence of the blocks [first, end), in their order."""
  starts = corpus.sentence_starts.part(first, end)
  splits, bodies = (np.asarray(column.splits[first:end + 1]) for column in (
      corpus.sentence_starts, corpus.body_ids))
  counts = np.diff(splits)
  ends = np.append(starts[1:], 0).astype(np.int32)[:len(starts)]
  ends[(splits[1:] - splits[0] - 1)[counts > 0]] = np.diff(bodies)[counts > 0]
  return Sentences(np.repeat(np.arange(first, end, dtype=np.int32), counts), starts, ends)


def long_sentences(corpus: Corpus) -> Sentences:
  """Those of `SHORTEST` pieces and more; kept beside a store."""
  return _kept(corpus, "long_sentences", {"version": 1, "shortest": SHORTEST},
               lambda sentences: sentences.end - sentences.start >= SHORTEST)


def findable_sentences(corpus: Corpus) -> Sentences:
  """Those of a block that has another one to be found by; kept beside a store."""
  def has_another(sentences: Sentences) -> np.ndarray:
    splits = corpus.sentence_starts.splits
    return splits[sentences.row + 1] - splits[sentences.row] > 1

  return _kept(corpus, "findable_sentences", {"version": 1}, has_another)


def _kept(corpus: Corpus, name: str, settings: dict[str, int],
          is_kept: Callable[[Sentences], np.ndarray]) -> Sentences:
  """Looks at some blocks at a time, so memory does not grow with a corpus on the disk."""
  def make(new: Writer) -> None:
    for first, end in parts_of(corpus):
      sentences = sentences_of(corpus, first, end)
      kept = is_kept(sentences)
      new.append(**{field: column[kept] for field, column in sentences._asdict().items()})

  return Sentences(**derived(corpus, name, settings, make))
