"""The baseline every retriever must beat: BM25, by the library bm25s."""

import itertools
import logging
from collections.abc import Iterable, Sequence

import bm25s
import numpy as np

from realm_tf.errors import UserError

_OTHER = " "  # is no word
_TOGETHER = 1 << 14  # documents whose words are split at once


def bm25_rows(questions: Sequence[str], documents: Iterable[str], k: int) -> np.ndarray:
  """The k best documents of each question, best first; any k where none has its words.

  Lower case, English stop words dropped, no stemming, Lucene's form of BM25
  (k1 = 1.5, b = 0.75). Of a document only the words that are asked for are kept, and how
  many it has.

  Args:
    questions: Q texts.
    documents: N texts, looked at once, in their order; to compare fairly, each a title and
      its text.
    k: how many rows to return; at most N.

  Returns:
    Row numbers of documents, `[Q, k]` int32.
  """
  asked = _tokens(questions)
  corpus = _asked_words(documents, asked.vocab)
  if not 1 <= k <= len(corpus):
    raise UserError(f"k={k}: expected between 1 and the number of documents, {len(corpus)}")
  # The library cannot do without either.
  if not questions or not any(map(len, corpus)):
    return np.tile(np.arange(k, dtype=np.int32), [len(questions), 1])
  # The library logs every build at debug level, and sets that level itself.
  logging.getLogger("bm25s").setLevel(logging.WARNING)
  index = bm25s.BM25()
  index.index((corpus, asked.vocab | {_OTHER: len(asked.vocab)}), show_progress=False)
  rows, _ = index.retrieve(asked, k=k, show_progress=False)
  return rows.astype(np.int32)


def _asked_words(documents: Iterable[str], vocabulary: dict[str, int]) -> list[np.ndarray]:
  """The words of each document by their numbers, [L] int32; all others have one together."""
  numbers, documents = [], iter(documents)
  while part := list(itertools.islice(documents, _TOGETHER)):
    tokens = _tokens(part)
    number = np.empty(len(tokens.vocab), np.int32)
    for word, place in tokens.vocab.items():
      number[place] = vocabulary.get(word, len(vocabulary))
    numbers += [number[np.array(words, np.int32)] for words in tokens.ids]
  return numbers


def _tokens(texts: Sequence[str]):
  return bm25s.tokenize(list(texts), stopwords="en", show_progress=False)
