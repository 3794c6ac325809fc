"""Which of two sets of answers to the same questions is better, and whether that is chance.

Plain Python: no TensorFlow.
"""

from typing import NamedTuple

import numpy as np

from realm_tf.evaluation import metrics
from realm_tf.evaluation.figures import Columns


class Difference(NamedTuple):
  """One figure of A and of B, over the questions that have it in both."""
  a: float
  b: float
  difference: float  # b - a
  low: float  # 95 % interval of the difference, by the paired bootstrap
  high: float
  p: float  # two-sided, by a paired permutation test
  a_wins: int  # questions
  b_wins: int
  questions: int

  @property
  def is_beyond_chance(self) -> bool:
    """Whether the interval excludes 0."""
    return self.low > 0 or self.high < 0


def compare(a: Columns, b: Columns, samples: int = 10000, seed: int = 0
            ) -> dict[str, Difference]:
  """Compares two sets of answers figure by figure.

  The questions are drawn anew for the interval (paired bootstrap: Koehn 2004), and A and B
  change places in each at random for p (`metrics.sign_test`). No correction is made for
  looking at several figures.

  Args:
    a, b: of the same Q questions in the same order, see `figures.per_question`.
    samples: of each test.
    seed: of both.

  Returns:
    The figures that both have.
  """
  differences = {}
  for name in a:
    if name in b:
      in_both = ~(np.isnan(a[name]) | np.isnan(b[name]))
      if in_both.any():
        differences[name] = _difference(a[name][in_both], b[name][in_both], samples, seed)
  return differences


def _difference(a: np.ndarray, b: np.ndarray, samples: int, seed: int) -> Difference:
  gain = b - a
  low, high = metrics.interval(gain, seed, samples)
  return Difference(
      float(a.mean()), float(b.mean()), float(gain.mean()), low, high,
      metrics.sign_test(gain, seed, samples), int((gain < 0).sum()), int((gain > 0).sum()),
      len(gain))
