"""How good a model is while a stage trains it, by examples that it does not learn from."""

import dataclasses
import math
from typing import Callable

_TIMES = 10  # a stage is judged, where nothing else is said
_SHARE = 0.1  # of a stage's time that it may take, then


@dataclasses.dataclass(frozen=True)
class Judge:
  """Says how good the model is that a `Loop` trains; the loop keeps the best.

  Attributes:
    measure: from the number of steps done to metrics of the model as it is. All processes
      that train together call it at the same steps.
    metric: the one by which the best is chosen: the higher the better, but for what ends in
      loss.
    every: steps from one measurement to the next; 0: a tenth of the stage, or more, so that
      they take a tenth of its time at most. The start and the end are always measured.
    patience: so many measurements in a row without a gain end the stage; 0: never.
    cost: of one measurement, about, in steps of training.
  """
  measure: Callable[[int], dict[str, float]]
  metric: str
  every: int = 0
  patience: int = 0
  cost: float = 0.0

  def period(self, steps: int) -> int:
    """Steps from one measurement to the next, of a stage of so many."""
    return self.every or max(1, min(steps, max(
        math.ceil(steps / _TIMES), math.ceil(self.cost / _SHARE))))
