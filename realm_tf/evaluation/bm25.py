"""The baseline every retriever must beat: BM25, by the library bm25s."""

import logging
from collections.abc import Sequence

import bm25s
import numpy as np

from realm_tf.errors import UserError


def bm25_rows(questions: Sequence[str], documents: Sequence[str], k: int) -> np.ndarray:
  """The k best documents of each question, best first; any k where none has its words.

  Lower case, English stop words dropped, no stemming, Lucene's form of BM25
  (k1 = 1.5, b = 0.75).

  Args:
    questions: Q texts.
    documents: N texts; to compare fairly, each a title and its text.
    k: how many rows to return; at most N.

  Returns:
    Row numbers of documents, `[Q, k]` int32.
  """
  if not 1 <= k <= len(documents):
    raise UserError(
        f"k={k}: expected between 1 and the number of documents, {len(documents)}")
  corpus = _tokens(documents)
  if not questions or not corpus.vocab:  # the library cannot index documents without words
    return np.tile(np.arange(k, dtype=np.int32), [len(questions), 1])
  # The library logs every build at debug level, and sets that level itself.
  logging.getLogger("bm25s").setLevel(logging.WARNING)
  index = bm25s.BM25()
  index.index(corpus, show_progress=False)
  rows, _ = index.retrieve(_tokens(questions), k=k, show_progress=False)
  return rows.astype(np.int32)


def _tokens(texts: Sequence[str]):
  return bm25s.tokenize(list(texts), stopwords="en", show_progress=False)
