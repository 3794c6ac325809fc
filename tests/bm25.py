"""BM25 of word pieces, written out in plain Python."""

import math

import numpy as np


def bm25(question, documents, documents_of_index):
  """Lucene's, of word pieces; a question has its own saturation, as a document has."""
  lengths = [len(document) for document in documents_of_index]
  mean = sum(lengths) / len(lengths)

  def weights(pieces, extra):  # special tokens count for the length of what is packed
    norm = 1.5 * (0.25 + 0.75 * (len(pieces) + extra) / mean)
    return {piece: pieces.count(piece) / (pieces.count(piece) + norm) for piece in pieces}

  scores = []
  for document in documents:
    score = 0.0
    mine, theirs = weights(question, 2), weights(document, 3)
    for piece in set(mine) & set(theirs):
      count = sum(piece in other for other in documents_of_index)
      if count:
        idf = math.log(1 + (len(documents_of_index) - count + .5) / (count + .5))
        score += idf * mine[piece] * theirs[piece]
    scores.append(score)
  return np.array(scores)
