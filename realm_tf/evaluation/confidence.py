"""Whether probabilities say how often answers are right. Plain NumPy: no TensorFlow.

Shape letters: Q questions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from realm_tf.evaluation.calibration import Point

_BINS = 10
_LEAST = 10  # answers in which a precision is more than chance
_POINTS = 200  # of a curve that is kept
SURE = 1 - 1e-6  # and no surer: logits are finite
_PRIOR = 0.5  # standard deviation, of slope and offset


class Bin(NamedTuple):
  """The questions whose answers are about as probable."""
  questions: int
  probability: float  # on average
  right: float  # the share of right answers


def bins(probabilities: ArrayLike, right: ArrayLike, count: int = _BINS
         ) -> list[Bin]:
  """A reliability diagram: bins of equal width, those without questions left out.

  Args:
    probabilities: [Q], of the answers given.
    right: [Q], whether they are.
    count: of bins between 0 and 1; (a, b], as in Guo et al. 2017, section 2.
  """
  values, hits = np.asarray(probabilities, np.float64), np.asarray(right, bool)
  place = np.clip(np.ceil(values * count).astype(int) - 1, 0, count - 1)
  return [Bin(int(in_bin.sum()), float(values[in_bin].mean()), float(hits[in_bin].mean()))
          for in_bin in (place == i for i in range(count)) if in_bin.any()]


def expected_calibration_error(probabilities: ArrayLike, right: ArrayLike) -> float:
  """The mean distance of probability and share of right ones (Guo et al. 2017, eq. 3)."""
  return float(sum(group.questions * abs(group.probability - group.right)
                   for group in bins(probabilities, right)) / max(1, np.size(probabilities)))


def auc(scores: ArrayLike, positive: ArrayLike) -> float:
  """The probability that a positive one has the higher score; ties count half.

  The area under the ROC curve, by ranks (Mann and Whitney); nan where all are alike.
  """
  values, hits = np.asarray(scores, np.float64), np.asarray(positive, bool)
  _, place, count = np.unique(values, return_inverse=True, return_counts=True)
  rank = np.cumsum(count) - (count - 1) / 2  # the mean rank of equal ones, from 1
  ones, zeros = hits.sum(), (~hits).sum()
  if not ones or not zeros:
    return float("nan")
  return float((rank[place][hits].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def curve(probabilities: ArrayLike, right: ArrayLike) -> tuple[Point, ...]:
  """Precision and coverage by falling threshold: at most some 200 points.

  Thresholds that few answers reach are left out, since their precision is chance.
  """
  values, hits = np.asarray(probabilities, np.float64), np.asarray(right, bool)
  order = np.argsort(-values, kind="stable")
  values, hits = values[order], hits[order]
  count = np.arange(1, len(values) + 1)
  precision = np.cumsum(hits) / count
  # All of the same probability are answered together.
  ends = np.flatnonzero(np.append(values[1:] < values[:-1], True))[:len(values)]
  ends = ends[count[ends] >= _LEAST]
  if len(ends) > _POINTS:
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, _POINTS).round().astype(int))]
  return tuple(Point(float(values[i]), float(precision[i]), float(count[i] / len(values)))
               for i in ends)


def platt(probabilities: ArrayLike, right: ArrayLike) -> tuple[float, float]:
  """Slope and offset by which logits of probabilities say how often answers are right.

  The most probable ones if sigmoid(slope * logit(p) + offset) are right (Platt 1999,
  "Probabilistic Outputs for Support Vector Machines"), where both are thought to be near 1
  and 0 before any answer is seen (normal, a standard deviation of one half each), so that few
  answers change little. 1 and 0 where surer answers are not right more often.

  Args:
    probabilities: [Q], of the answers given.
    right: [Q], whether they are.
  """
  logits = np.stack([_logits(probabilities), np.ones(np.size(probabilities))], 1)
  hits, before = np.asarray(right, np.float64), np.array([1.0, 0.0])
  found = before
  for _ in range(100):  # Newton's steps, of length 1 at most; it is concave
    sure = _sigmoid(logits @ found)
    slope = logits.T @ (hits - sure) - (found - before) / _PRIOR ** 2
    curvature = (logits * (sure * (1 - sure))[:, None]).T @ logits + np.eye(2) / _PRIOR ** 2
    step = np.linalg.solve(curvature, slope)
    found = found + step / max(1.0, float(np.linalg.norm(step)))
  return (float(found[0]), float(found[1])) if found[0] > 0 else (1.0, 0.0)


def rescaled(probabilities: ArrayLike, slope: float, offset: float) -> np.ndarray:
  """sigmoid(slope * logit(p) + offset), [Q] float64; `merging.rescaled` is its twin."""
  return _sigmoid(slope * _logits(probabilities) + offset)


def _logits(probabilities: ArrayLike) -> np.ndarray:
  values = np.clip(np.asarray(probabilities, np.float64), 1 - SURE, SURE)
  return np.log(values) - np.log1p(-values)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
  return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))


def confidence_figures(probabilities: ArrayLike, right: ArrayLike) -> dict[str, float]:
  """Those of an evaluation; what is undefined (all right, or all wrong) is left out."""
  figures = {"probability_auc": auc(probabilities, right),
             "calibration_error": expected_calibration_error(probabilities, right)}
  return {name: value for name, value in figures.items() if np.isfinite(value)}
