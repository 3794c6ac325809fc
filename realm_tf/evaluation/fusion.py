"""Two rankings made one: a retriever and BM25 find different passages."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

_DAMPING = 60  # as published; it was not fitted, here neither
_T = TypeVar("_T", bound=Hashable)


def fuse(rankings: Iterable[Sequence[_T]], k: int) -> list[_T]:
  """Reciprocal rank fusion: the k best of several rankings, best first.

  An item's score is the sum of 1 / (60 + rank), with ranks from 1, over the rankings that
  list it; of equal ones that comes first which was met first. Scores are not looked at, so
  there is nothing to fit on any questions. Source: Cormack, Clarke and Büttcher 2009
  (SIGIR), "Reciprocal rank fusion outperforms Condorcet and individual rank learning
  methods".
  """
  scores: dict[_T, float] = {}
  for ranking in rankings:
    for rank, item in enumerate(ranking, 1):
      scores[item] = scores.get(item, 0.0) + 1 / (_DAMPING + rank)
  return sorted(scores, key=lambda item: -scores[item])[:k]
