"""How spans that were found compare with those that are right: as CoNLL-2003 is scored."""

from typing import Collection, Hashable, Iterable, NamedTuple


class SpanScores(NamedTuple):
  """A span counts where it is the same, from end to end (and of the same type, if it has
  one)."""
  precision: float  # of the spans that were found, so many are right
  recall: float  # of those that are right, so many were found
  f1: float
  right: int
  found: int
  both: int

  def __str__(self) -> str:
    return (f"precision {self.precision * 100:.2f} %, recall {self.recall * 100:.2f} %, "
            f"F1 {self.f1 * 100:.2f} %")


def span_scores(right: Iterable[Collection[Hashable]], found: Iterable[Collection[Hashable]]
                ) -> SpanScores:
  """The scores over all texts together; each text has its collection of spans.

  What has no denominator (nothing found, nothing right) is 0, as `conlleval` has it.
  """
  num_right = num_found = num_both = 0
  for expected, spans in zip(right, found, strict=True):
    num_right += len(set(expected))
    num_found += len(set(spans))
    num_both += len(set(expected) & set(spans))
  precision = num_both / num_found if num_found else 0.0
  recall = num_both / num_right if num_right else 0.0
  f1 = 2 * num_both / (num_right + num_found) if num_both else 0.0
  return SpanScores(precision, recall, f1, num_right, num_found, num_both)
