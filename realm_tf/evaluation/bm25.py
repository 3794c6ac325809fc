"""The baseline every retriever must beat: BM25, by words as the library bm25s splits them.

The library keeps the scores of all documents in memory, three times over while it sorts them;
here some documents are scored at a time, so that memory does not grow with the corpus.
"""

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import bm25s
import numpy as np
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.files import PathLike

_K1, _B = 1.5, 0.75
_TOGETHER = 1 << 10  # documents that are read, and scored, at once


def bm25_rows(questions: Sequence[str], documents: Iterable[str], k: int,
              scratch: PathLike | None = None) -> np.ndarray:
  """The k best documents of each question, best first, of equal ones the lower row.

  Lower case, English stop words dropped, no stemming, Lucene's form of BM25
  (k1 = 1.5, b = 0.75). Of a document only the words that are asked for are kept, and how
  many it has: some five bytes for each different one, in a file without a name.

  Args:
    questions: Q texts.
    documents: N texts, looked at once, in their order; to compare fairly, each a title and
      its text.
    k: how many rows to return; at most N.
    scratch: a folder for that file; by default the one for temporary files.

  Returns:
    Row numbers of documents, `[Q, k]` int32.
  """
  asked = _tokens(questions)
  with tempfile.TemporaryFile(dir=None if scratch is None else str(scratch)) as file:
    statistics = _count(documents, asked.vocab, file)
    if not 1 <= k <= statistics.documents:
      raise UserError(
          f"k={k}: expected between 1 and the number of documents, {statistics.documents}")
    file.seek(0)
    return _best(asked.ids, statistics, file, k)


class _Statistics(NamedTuple):
  """Of a collection of documents."""
  documents: int
  words: int  # of all documents together
  held: np.ndarray  # [V] by how many documents


class _Part(NamedTuple):
  """Some documents that follow each other."""
  lengths: np.ndarray  # [n] words of each
  places: np.ndarray  # [P] document * V + word, ascending
  counts: np.ndarray  # [P] how often that document has that word


def _count(documents: Iterable[str], vocabulary: dict[str, int], file: BinaryIO
           ) -> _Statistics:
  """Writes part by part what the documents have of the words that are asked for."""
  total, words, held = 0, 0, np.zeros(len(vocabulary), np.int64)
  documents = iter(documents)
  while texts := list(itertools.islice(documents, _TOGETHER)):
    part = _part(texts, vocabulary)
    total, words = total + len(texts), words + int(part.lengths.sum())
    held += np.bincount(part.places % max(1, len(held)), minlength=len(held))
    for array in part:
      np.save(file, array, allow_pickle=False)
  return _Statistics(total, words, held)


def _part(texts: Sequence[str], vocabulary: dict[str, int]) -> _Part:
  tokens, size = _tokens(texts), len(vocabulary)
  number = np.full(len(tokens.vocab), -1)
  for word, place in tokens.vocab.items():
    number[place] = vocabulary.get(word, -1)
  lengths = np.fromiter(map(len, tokens.ids), np.int32, len(texts))
  words = number[np.fromiter(itertools.chain.from_iterable(tokens.ids), np.int64,
                             int(lengths.sum()))]
  places = np.repeat(np.arange(len(texts)) * size, lengths) + words
  places, counts = np.unique(places[words >= 0], return_counts=True)
  return _Part(lengths, places.astype(np.min_scalar_type(len(texts) * size)),
               counts.astype(np.min_scalar_type(counts.max(initial=0))))


def _parts(file: BinaryIO, documents: int) -> Iterator[_Part]:
  while documents:
    part = _Part(*(np.load(file, allow_pickle=False) for _ in _Part._fields))
    documents -= len(part.lengths)
    yield part


def _best(asked: Sequence[Sequence[int]], statistics: _Statistics, file: BinaryIO, k: int
          ) -> np.ndarray:
  """The best rows, `[Q, k]`, for the words of each question."""
  queries, first = len(asked), 0
  best, rows = tf.zeros([queries, 0], tf.float64), tf.zeros([queries, 0], tf.int32)
  for part in _parts(file, statistics.documents):
    # Earlier rows stand before, and of equal scores the first is taken.
    best = tf.concat([best, _scores(asked, part, statistics)], 1)
    rows = tf.concat([rows, tf.tile(tf.range(first, first + len(part.lengths))[None],
                                    [queries, 1])], 1)
    best, chosen = tf.math.top_k(best, min(k, best.shape[1]))
    rows = tf.gather(rows, chosen, batch_dims=1)
    first += len(part.lengths)
  return rows.numpy()


def _scores(asked: Sequence[Sequence[int]], part: _Part, statistics: _Statistics
            ) -> np.ndarray:
  """What each of n documents is worth to each of Q questions, `[Q, n]`."""
  held, size = statistics.held, len(part.lengths)
  document, word = np.divmod(part.places.astype(np.int64), max(1, len(held)))
  order = np.argsort(word, kind="stable")
  document, word, often = document[order], word[order], part.counts[order].astype(np.float64)
  rarity = np.log1p((statistics.documents - held + 0.5) / (held + 0.5))
  length = part.lengths[document] * (statistics.documents / max(1, statistics.words))
  weight = rarity[word] * often / (often + _K1 * (1.0 - _B + _B * length))
  # Where the documents of each word of each question begin, and how many these are.
  words = np.fromiter(itertools.chain.from_iterable(asked), np.int64)
  begin = np.searchsorted(word, words)
  many = np.searchsorted(word, words, side="right") - begin
  found = np.arange(many.sum()) + np.repeat(begin - np.cumsum(many) + many, many)
  question = np.repeat(np.repeat(np.arange(len(asked)), [len(ids) for ids in asked]), many)
  return np.bincount(question * size + document[found], weight[found],
                     len(asked) * size).reshape(len(asked), size)


def _tokens(texts: Sequence[str]):
  return bm25s.tokenize(list(texts), stopwords="en", show_progress=False)
