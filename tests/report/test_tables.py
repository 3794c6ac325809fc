import math
import re

from realm_tf.report import tables

_ROWS = [
    tables.Stage("BM25", 0.357, 0.448),
    tables.Stage("fine-tuning", 0.5, math.nan, 0.1, 0.25, 0.213, 12.34)]


def test_table_lines_up():
  lines = tables.stage_table(_ROWS).splitlines()
  assert re.split(r"\s{2,}", lines[0]) == [
      "stage", "recall@5", "recall@20", "masked words alone", "with blocks", "exact match",
      "minutes"]
  assert re.split(r"\s{2,}", lines[2]) == ["BM25", "35.7 %", "44.8 %", *"----"]
  assert re.split(r"\s{2,}", lines[3]) == [
      "fine-tuning", "50.0 %", "-", "10.0 %", "25.0 %", "21.3 %", "12.3"]
  assert {len(line) for line in lines} == {len(lines[0])}
