"""What turns scores into probabilities, and probabilities into "no answer".

A `Calibration` is made on dev questions by `fitting` and kept as JSON; a run and its export
answer by it. Plain Python: no TensorFlow.
"""

import dataclasses
import json
import math
from typing import NamedTuple

from realm_tf.errors import UserError
from realm_tf.files import PathLike, new_file, read_json


class Point(NamedTuple):
  """What happened on dev where only answers as probable as `threshold` were given."""
  threshold: float
  precision: float  # the share of right ones among them
  coverage: float  # the share of questions that were answered


@dataclasses.dataclass(frozen=True)
class Calibration:
  """How answers are scored; by default as they come, equal answers added.

  Attributes:
    retriever_weight: of the retriever's score beside the reader's logit.
    temperature: by which both are divided before the softmax over all spans (Guo et al.
      2017, "On Calibration of Modern Neural Networks").
    merged: whether the places of an answer are added; else its best place counts alone.
    agreement: whether the answer is the one that agrees with other likely ones
      (`evaluation.agreement`); else the most probable one. Its probability is its own.
    slope, offset: what makes of the logit of an answer's share that of its being right
      (`confidence.platt`); the slope is above 0.
    model: of a run, for which it was made: its stage.
    questions: of dev, by which it was made; 0: it was not.
    curve: what precision costs, by falling threshold; empty where it was not measured.
    figures: of dev, by name, for people.
  """
  retriever_weight: float = 1.0
  temperature: float = 1.0
  merged: bool = True
  agreement: bool = False
  slope: float = 1.0
  offset: float = 0.0
  model: str = ""
  questions: int = 0
  curve: tuple[Point, ...] = ()
  figures: dict[str, float] = dataclasses.field(default_factory=dict)

  @property
  def rule(self) -> str:
    """What the answers depend on, in a line."""
    rescaled = f", logits times {self.slope:.2f} {self.offset:+.2f}" if self.rescales else ""
    return (f"reader + {self.retriever_weight:g} retriever, over {self.temperature:g}, "
            f"{'equal answers added' if self.merged else 'best span'}"
            f"{', in agreement with others' if self.agreement else ''}"
            f"{rescaled}")

  @property
  def fitted(self) -> bool:
    """Whether dev questions made it: else probabilities do not say how often answers are
    right."""
    return self.questions > 0

  @property
  def rescales(self) -> bool:
    """Whether the probability of an answer is another number than its share."""
    return (self.slope, self.offset) != (1.0, 0.0)

  def threshold(self, precision: float) -> float:
    """The least probability from which answers are as precise as wanted, on dev.

    Raises:
      UserError: nothing was calibrated, or no threshold reaches it.
    """
    if not self.curve:
      raise UserError(f"precision {precision:g}: this model is not calibrated, so no "
                      "threshold is known for it: run `realm calibrate`, or give one")
    reached = [point.threshold for point in self.curve if point.precision >= precision]
    if not reached:
      most = max(self.curve, key=lambda point: point.precision)
      raise UserError(
          f"precision {precision:g}: no threshold reached it on {self.questions} dev "
          f"questions; the most was {math.floor(most.precision * 1000) / 1000:g}, at "
          f"threshold {most.threshold:.3g}")
    return min(reached)


UNCALIBRATED = Calibration()
# ORQA's rule: the one best span, reader logit + retriever score as they come.
PUBLISHED = Calibration(merged=False)


def check_wanted(threshold: float | None, precision: float | None) -> None:
  """Raises `UserError` where both are given, or one that is no share."""
  if threshold is not None and precision is not None:
    raise UserError("threshold and precision: give one of both")
  if threshold is not None and not 0 <= threshold <= 1:
    raise UserError(f"threshold {threshold:g}: expected a probability from 0 to 1")
  if precision is not None and not 0 < precision <= 1:
    raise UserError(f"precision {precision:g}: expected a share above 0, at most 1")


def wanted_threshold(calibration: Calibration, threshold: float | None,
                     precision: float | None) -> float:
  """The threshold that a user means by either of both, and 0 by none.

  Raises:
    UserError: see `check_wanted` and `Calibration.threshold`.
  """
  check_wanted(threshold, precision)
  if precision is not None:
    return calibration.threshold(precision)
  return threshold or 0.0


def write_calibration(path: PathLike, calibration: Calibration) -> None:
  """As JSON."""
  values = dataclasses.asdict(calibration) | {"curve": [list(p) for p in calibration.curve]}
  with new_file(path, "w") as file:
    file.write(json.dumps(values, indent=2, allow_nan=False) + "\n")


def read_calibration(path: PathLike) -> Calibration:
  """What `write_calibration` wrote; one that is older than a field is without it.

  Raises:
    UserError: the file holds something else.
  """
  values = read_json(path)
  try:
    fitted = Calibration(float(values["retriever_weight"]), float(values["temperature"]),
                         _flag(values["merged"]), _flag(values.get("agreement", False)),
                         float(values.get("slope", 1.0)), float(values.get("offset", 0.0)),
                         str(values["model"]), int(values["questions"]),
                         tuple(Point(*map(float, point)) for point in values["curve"]),
                         dict(values["figures"]))
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(f"{path}: not a calibration ({type(error).__name__}: {error}); remove it "
                    "and run `realm calibrate`") from None
  weight, temperature = fitted.retriever_weight, fitted.temperature
  if not (temperature > 0 and math.isfinite(weight * temperature)):
    raise UserError(f"{path}: retriever_weight {weight:g} and temperature {temperature:g}; "
                    "expected finite numbers, the temperature above 0")
  if not (0 < fitted.slope < math.inf and math.isfinite(fitted.offset)):
    raise UserError(f"{path}: slope {fitted.slope:g} and offset {fitted.offset:g}; expected "
                    "finite numbers, the slope above 0")
  return fitted


def _flag(value: object) -> bool:
  if not isinstance(value, bool):
    raise TypeError(f"{value!r} is neither true nor false")
  return value
