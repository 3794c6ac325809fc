"""Figures of confidence against hand-computed cases and plain loops."""

import itertools
import json
import math

import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.evaluation import calibration, confidence
from realm_tf.evaluation.calibration import Calibration, Point


def test_auc_is_the_share_of_pairs_in_order():
  rng = np.random.default_rng(1)
  scores, positive = rng.integers(0, 8, 60) / 8, rng.random(60) < 0.4
  pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(
      scores[positive], scores[~positive])]
  assert confidence.auc(scores, positive) == pytest.approx(np.mean(pairs))
  assert math.isnan(confidence.auc([0.5, 0.6], [True, True]))
  assert math.isnan(confidence.auc([], []))


def test_bins_and_error_by_hand():
  probabilities = [0.0, 0.1, 0.15, 0.2, 0.95, 1.0, 0.97]
  right = [False, True, False, True, True, True, False]
  bins = confidence.bins(probabilities, right)
  assert [bin_.questions for bin_ in bins] == [2, 2, 3]  # (a, b]: 0.1 is in the first
  assert bins[0].probability == pytest.approx(0.05) and bins[0].right == 0.5
  expected = (2 * abs(0.05 - 0.5) + 2 * abs(0.175 - 0.5) + 3 * abs(2.92 / 3 - 2 / 3)) / 7
  error = confidence.expected_calibration_error
  assert error(probabilities, right) == pytest.approx(expected) and error([], []) == 0
  assert set(confidence.confidence_figures([0.5, 0.5], [True, True])) == {"calibration_error"}


def test_the_curve_says_what_a_threshold_would_have_done():
  rng = np.random.default_rng(2)
  probabilities = np.round(rng.random(900), 3)
  right = rng.random(900) < probabilities
  curve = confidence.curve(probabilities, right)
  assert 100 < len(curve) <= 200 and curve[-1].coverage == 1
  for point in curve:
    is_answered = probabilities >= point.threshold
    assert point.coverage == pytest.approx(is_answered.mean()) and is_answered.sum() >= 10
    assert point.precision == pytest.approx(right[is_answered].mean())


def test_answers_are_as_often_right_as_they_say_once_rescaled():
  """Of the true slope and offset, on answers that have not been seen."""
  rng = np.random.default_rng(4)
  truth = rng.random(8000)
  right = rng.random(8000) < truth
  told = confidence.rescaled(truth, 0.5, -1.0)  # what turns it back: a slope of 2, and 2
  slope, offset = confidence.platt(told[:4000], right[:4000])
  assert slope == pytest.approx(2, abs=0.2) and offset == pytest.approx(2, abs=0.3)
  error = confidence.expected_calibration_error
  assert error(told[4000:], right[4000:]) > 0.1
  assert error(confidence.rescaled(told[4000:], slope, offset), right[4000:]) < 0.03


@pytest.mark.parametrize("probabilities, right", [
    ([], []), ([0.0, 1.0], [True, False]), ([1.0] * 500, [False] * 500),
    ([0.0] * 500, [True] * 500), ([0.9] * 300 + [0.1] * 300, [False] * 300 + [True] * 300),
    ([1e-30, 1.0000001] * 100, [False, True] * 100)])
def test_rescaling_is_finite_and_keeps_the_order(probabilities, right):
  slope, offset = confidence.platt(probabilities, right)
  assert 0 < slope < 50 and abs(offset) < 50
  sure = confidence.rescaled([0.0, 0.1, 0.5, 0.9, 1.0], slope, offset)
  assert (np.diff(sure) >= 0).all() and 0 <= sure[0] and sure[-1] <= 1
  if not probabilities:
    assert (slope, offset) == (1, 0)


def test_a_precision_is_met_with_as_many_answers_as_may_be():
  fitted = Calibration(questions=100, curve=(
      Point(0.9, 0.8, 0.1), Point(0.6, 0.75, 0.4), Point(0.3, 0.78, 0.6),
      Point(0.0, 0.5, 1.0)))
  assert fitted.threshold(0.75) == 0.3 and fitted.threshold(0.8) == 0.9
  assert fitted.threshold(0.5) == 0 == fitted.threshold(0.01)
  with pytest.raises(UserError, match="no threshold reached it on 100 dev questions; the "
                                      "most was 0.8, at threshold 0.9"):
    fitted.threshold(0.81)
  with pytest.raises(UserError, match="not calibrated"):
    Calibration().threshold(0.5)


@pytest.mark.parametrize("threshold, precision, message", [
    (0.5, 0.5, "give one of both"), (-0.1, None, "from 0 to 1"), (1.1, None, "from 0 to 1"),
    (float("nan"), None, "from 0 to 1"), (float("inf"), None, "from 0 to 1"),
    (None, 0.0, "above 0"), (None, 1.5, "at most 1"), (None, float("nan"), "above 0"),
    (None, 0.9, "not calibrated")])
def test_what_cannot_be_wanted_is_one_line(threshold, precision, message):
  with pytest.raises(UserError, match=message):
    calibration.wanted_threshold(Calibration(), threshold, precision)


def test_a_calibration_is_kept_as_json(tmp_path):
  written = Calibration(0.25, 2.0, False, True, 0.9, 0.4, "finetune", 30,
                        (Point(0.5, 0.75, 1.0),), {"x": 0.5})
  calibration.write_calibration(tmp_path / "c.json", written)
  assert calibration.read_calibration(tmp_path / "c.json") == written
  assert written.rule.endswith(
      "best span, in agreement with others, logits times 0.90 +0.40")


def test_a_calibration_that_is_older_than_a_field_is_without(tmp_path):
  calibration.write_calibration(tmp_path / "c.json", Calibration(
      0.5, 2.0, agreement=True, slope=2.0, offset=1.0))
  values = json.loads((tmp_path / "c.json").read_text())
  for name in ("agreement", "slope", "offset"):
    del values[name]
  (tmp_path / "c.json").write_text(json.dumps(values))
  assert calibration.read_calibration(tmp_path / "c.json") == Calibration(0.5, 2.0)
  assert not calibration.PUBLISHED.agreement and not calibration.UNCALIBRATED.agreement


@pytest.mark.parametrize("name", ["merged", "agreement"])
def test_what_is_neither_true_nor_false_is_one_line(tmp_path, name):
  calibration.write_calibration(tmp_path / "c.json", Calibration())
  for value in ("no", 0, None):
    values = json.loads((tmp_path / "c.json").read_text()) | {name: value}
    (tmp_path / "c.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"c\.json: .* neither true nor false"):
      calibration.read_calibration(tmp_path / "c.json")


@pytest.mark.parametrize("text", [
    "{}", "[]", "3", '{"retriever_weight": "x"}',
    *(f'{{"retriever_weight": {weight}, "temperature": {temperature}, "merged": true, '
      f'"model": "", "questions": 0, "curve": {curve}, "figures": {{}}}}'
      for weight, temperature, curve in (
          (1, 0, "[]"), (1, -1, "[]"), (1, 1, "[[1, 2]]"), (1, 1, "3"), ("1e999", 1, "[]"),
          ("null", 1, "[]"), (1, 1, '[], "slope": 0'), (1, 1, '[], "offset": 1e999')))])
def test_what_is_no_calibration_is_one_line(tmp_path, text):
  (tmp_path / "c.json").write_text(text)
  with pytest.raises(UserError, match=r"c\.json: .*"):
    calibration.read_calibration(tmp_path / "c.json")
