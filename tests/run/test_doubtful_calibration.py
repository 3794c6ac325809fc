"""A calibration by little, or of a reader that knows little, is warned of."""

import logging
import types

import pytest

from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.evaluation.calibration import Calibration
from realm_tf.run import calibrate

_FEW = "20 questions are few"
_BLIND = "right answers hardly have higher ones than wrong (AUC 0.480, by chance 0.5)"
_QUESTIONS = "30 questions or more (`realm calibrate --workdir="
_READER = "a better reader"


def _run(folder, count):
  def questions(part):
    if part == "held_out":
      raise UserError("none")
    return [Question(f"q{i}", f"who is {i}?", ("I",)) for i in range(count)]
  return types.SimpleNamespace(
      path=folder, calibration_path=folder / "calibration.json", questions=questions,
      config=types.SimpleNamespace(evaluate=types.SimpleNamespace(batch_size=8)),
      answerer=lambda stage: None, calibration=lambda stage: Calibration())


@pytest.mark.parametrize("count, figures, expected, others", [
    (20, {"probability_auc": 0.48}, [_FEW, _BLIND, _QUESTIONS, _READER], []),
    (20, {"probability_auc": 0.9}, [_FEW, _QUESTIONS], ["AUC", _READER]),
    (30, {"probability_auc": 0.48}, [_BLIND, _READER], ["few", _QUESTIONS]),
    (30, {"exact_match": 0.0}, ["no answer is right", _READER], ["few", "AUC"]),
    (30, {"probability_auc": 0.6, "exact_match": 0.5}, [], []),
    (30, {"exact_match": 1.0}, [], [])])
@pytest.mark.parametrize("by", [calibrate.calibrate, calibrate.calibrate_if_possible])
def test_what_tells_little_is_one_warning(
    tmp_path, caplog, monkeypatch, by, count, figures, expected, others):
  monkeypatch.setattr(calibrate, "has_reader", lambda run, stage: True)
  monkeypatch.setattr(calibrate.fitting, "collect_dev", lambda *given: None)
  monkeypatch.setattr(calibrate.fitting, "fit", lambda dev: Calibration(
      questions=count, figures=figures))
  by(_run(tmp_path, count), "finetune")
  warnings = [record.getMessage() for record in caplog.records
              if record.levelno == logging.WARNING]
  assert len(warnings) == bool(expected)
  for words in expected:
    assert "tell little: " in warnings[0] and words in warnings[0]
  assert not [words for words in others if words in warnings[0]]
