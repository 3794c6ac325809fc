"""What `realm calibrate` prints."""

from realm_tf.evaluation.calibration import Calibration, Point
from realm_tf.report.calibration_table import in_words


def test_each_figure_says_what_it_is():
  calibration = Calibration(questions=24, figures={
      "log_loss": 3.5359, "exact_match": 0.5417, "f1": 0.6, "probability_auc": 0.9,
      "calibration_error": 0.25, "exact_match_published": 0.125,
  }, curve=(Point(0.9, 0.85, 0.25), Point(0.5, 0.55, 0.75)))
  lines = in_words(calibration).splitlines()
  assert lines[0].endswith("equal answers added; on 24 dev questions:")
  assert lines[1].split() == "chosen most probable most agreement ORQA's rule".split()
  assert lines[2].split() == ["exact", "match", "54.2%", "-", "-", "12.5%"]
  assert lines[4].startswith("right above wrong (AUC, best 1)           0.900")
  assert "log loss of what was fitted (best 0): 3.536" in lines
  costs = [line for line in lines if line.startswith("--precision=")]
  assert costs[0] == (
      "--precision=0.5   answers from probability 0.500 on, 75.0% of the questions")
  assert costs[-1].startswith("--precision=0.8   answers from probability 0.900 on, 25.0%")
  assert len({len(line) for line in lines[1:6]}) == 1
