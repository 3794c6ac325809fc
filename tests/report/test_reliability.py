"""The charts of confidence: what is drawn of known numbers."""

import re

from realm_tf.report.reliability import charts


def test_each_bin_is_drawn_and_counted():
  probabilities = [0.05] * 6 + [0.45] * 4 + [0.95] * 10
  right = [False] * 6 + [True, True, False, False] + [True] * 9 + [False]
  drawn = charts(probabilities, right)
  assert drawn.count("<figure>") == 2 and drawn.count("<svg") == 2
  rows = re.findall(r"<tr><th>([^<]*)</th><td>(\d+)</td><td>(.*?)</td></tr>", drawn)
  assert rows == [("5 %", "6", "0 %"), ("45 %", "4", "50 %"), ("95 %", "10", "90 %")]
  points = re.findall(r"<title>([\d.]+): ([\d.]+)</title>", drawn.split("</figure>")[0])
  assert points == [("0.05", "0"), ("0.45", "0.5"), ("0.95", "0.9"), ("0", "0"), ("1", "1")]
  assert "error 5 %" in drawn and "AUC 0.914" in drawn


def test_no_questions_no_charts():
  assert charts([], []) == ""


def test_where_all_are_wrong_there_is_no_auc():
  drawn = charts([0.5, 0.7], [False, False])
  assert "AUC" not in drawn and "error 60 %" in drawn
