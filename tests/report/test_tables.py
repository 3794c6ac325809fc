import math
import re

from realm_tf.evaluation.compare import Difference
from realm_tf.report import tables

_ROWS = [
    tables.Stage("BM25", {"recall@5": 0.357, "recall@20": 0.448, "recall@5_low": 0.3}),
    tables.Stage("fine-tuning", {
        "recall@5": 0.5, "recall@20": math.nan, "masked_words_alone": 0.1,
        "masked_words": 0.25, "exact_match": 0.213, "recall@100": 0.9,
        "recall@5_by_gold": 0.125}, 12.34,
        ("it is worse",))]


def test_table_lines_up():
  lines = tables.stage_table(_ROWS).splitlines()
  assert re.split(r"\s{2,}", lines[0]) == [
      "stage", "recall@5", "recall@20", "gold@5", "masked words alone", "with blocks",
      "exact match", "minutes"]
  assert re.split(r"\s{2,}", lines[2]) == ["BM25", "35.7 %", "44.8 %", *"-----"]
  assert re.split(r"\s{2,}", lines[3]) == [
      "fine-tuning", "50.0 %", "-", "12.5 %", "10.0 %", "25.0 %", "21.3 %", "12.3"]
  assert {len(line) for line in lines[:4]} == {len(lines[0])}
  assert lines[4:] == ["", "! it is worse"]


def test_other_depths_are_shown_where_the_usual_ones_are_not_measured():
  rows = [tables.Stage("ict", {f"recall@{k}": 0.5 for k in (50, 10, 3, 200)})]
  assert [column.label for column in tables.columns(rows)] == [
      "recall@3", "recall@10", "recall@50"]
  assert tables.columns([]) == []


def test_figures_are_told_with_their_intervals_and_by_source():
  figures = {"recall@5": 0.5, "recall@5_low": 0.25, "recall@5_high": 0.75, "questions": 8,
             "by_source": {"nq": {"questions": 6, "recall@5": 1.0},
                           "trivia": {"questions": 2, "exact_match": 0.0}}}
  lines = tables.figure_table(figures).splitlines()
  assert lines[0].split() == ["recall@5", "0.5000", "0.2500", "to", "0.7500"]
  assert lines[1].split() == ["questions", "8"]
  assert [line.split() for line in lines[3:]][0] == [
      "source", "questions", "recall@5", "exact", "match"]
  assert lines[5].split() == ["nq", "6", "100.0", "%", "-"]
  assert lines[6].split() == ["trivia", "2", "-", "0.0", "%"]


def test_a_comparison_is_in_per_cent_and_points():
  difference = Difference(0.5, 0.25, -0.25, -0.4, -0.1, 0.0123, 30, 10, 80)
  lines = tables.comparison_table({"f1": difference}, ["here", "there"]).splitlines()
  assert lines[:2] == ["A  here", "B  there"]
  assert re.split(r"\s{2,}", lines[5]) == [
      "f1", "50.0", "25.0", "-25.0", "-40.0 to -10.0", "0.0123", "30", "10", "80"]
