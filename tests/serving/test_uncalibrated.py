"""A model whose probabilities nothing was fitted to says so."""

import pytest

import realm_tf
from realm_tf.evaluation.calibration import UNCALIBRATED
from realm_tf.report.answers import NOT_CALIBRATED
from realm_tf.run import ask
from realm_tf.serving import saved_model as serving


@pytest.mark.parametrize("calibrated", [True, False])
def test_an_export_says_whether_it_is_calibrated(world, tmp_path, capsys, calibrated):
  answerer = world.answerer()
  if not calibrated:
    answerer.calibration = UNCALIBRATED
  serving.export(answerer, tmp_path / "export")
  assert realm_tf.load(tmp_path / "export").calibrated is calibrated
  tell = ask.by_export(tmp_path / "export", as_json=True)
  tell(["who lives by the river?"])
  tell(["where is it?"])
  assert capsys.readouterr().err.count(NOT_CALIBRATED) == (not calibrated)
