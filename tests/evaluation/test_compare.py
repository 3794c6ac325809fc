"""Paired tests, against exact ones that are computed in full."""

import itertools
import math

import numpy as np
import pytest

from realm_tf.evaluation import metrics
from realm_tf.evaluation.compare import compare


def _binomial_p(wins, losses):
  """McNemar's exact test: how often a fair coin falls as unevenly."""
  count, least = wins + losses, min(wins, losses)
  tail = sum(math.comb(count, i) for i in range(least + 1)) / 2**count
  return min(1.0, 2 * tail)


@pytest.mark.parametrize("wins, losses", [(10, 2), (30, 20), (7, 7), (0, 9), (60, 30)])
def test_p_of_right_and_wrong_is_mcnemars(wins, losses):
  differences = [1.0] * wins + [-1.0] * losses + [0.0] * 50
  assert metrics.sign_test(differences, 0, 40000) == pytest.approx(
      _binomial_p(wins, losses), abs=0.01)


def test_p_of_any_figure_is_that_of_all_changes_of_signs():
  differences = np.array([0.5, -0.25, 0.3, 0.8, -0.1, 0.4, 0.0, 0.9, 0.35])
  sums = [abs(np.dot(signs, differences)) for signs in itertools.product(
      (1, -1), repeat=len(differences))]
  exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)
  assert metrics.sign_test(differences, 1, 40000) == pytest.approx(exact, abs=0.01)


def test_where_nothing_differs_nothing_is_beyond_chance():
  same = {"f1": np.array([0.0, 0.5, 1.0])}
  difference = compare(same, same)["f1"]
  assert (difference.difference, difference.low, difference.high) == (0, 0, 0)
  assert difference.p == 1
  assert (difference.a_wins, difference.b_wins, difference.questions) == (0, 0, 3)
  assert not difference.is_beyond_chance


def test_a_and_b_change_places():
  rng = np.random.default_rng(0)
  a, b = ({"f1": rng.random(60)} for _ in range(2))
  difference, back = compare(a, b)["f1"], compare(b, a)["f1"]
  assert (difference.a, difference.b, difference.a_wins, difference.b_wins) == (
      back.b, back.a, back.b_wins, back.a_wins)
  assert difference.difference == pytest.approx(np.mean(b["f1"]) - np.mean(a["f1"]))
  assert difference.difference == pytest.approx(-back.difference)
  assert difference.low == pytest.approx(-back.high)
  assert difference.p == pytest.approx(back.p, abs=0.02)


def test_pairing_tells_a_small_gain_that_unpaired_intervals_hide():
  rng = np.random.default_rng(0)
  a = (rng.random(400) < 0.5).astype(float)
  b = a.copy()
  b[np.flatnonzero(a == 0)[:12]] = 1
  difference = compare({"exact_match": a}, {"exact_match": b})["exact_match"]
  assert difference.is_beyond_chance and difference.p < 0.01
  assert (difference.a_wins, difference.b_wins) == (0, 12)
  assert metrics.interval(a, 0)[1] > metrics.interval(b, 0)[0]


def test_intervals_of_differences_cover_as_often_as_they_say():
  rng = np.random.default_rng(0)
  covered = rejected = 0
  for seed in range(150):
    a, b = rng.random([2, 80]) < 0.4
    difference = compare({"x": a.astype(float)}, {"x": b.astype(float)}, samples=300,
                         seed=seed)["x"]
    covered += difference.low <= 0 <= difference.high
    rejected += difference.p < 0.05
  assert 130 <= covered <= 149 and 1 <= rejected <= 16


def test_only_questions_and_figures_that_both_have():
  a = {"recall@1_by_gold": np.array([1.0, np.nan, 0.0, 1.0]), "only": np.ones(4)}
  b = {"recall@1_by_gold": np.array([1.0, 1.0, 1.0, np.nan]), "other": np.ones(4),
       "none": np.full(4, np.nan)}
  differences = compare(a, b | {"only": np.full(4, np.nan)})
  assert list(differences) == ["recall@1_by_gold"]
  assert differences["recall@1_by_gold"].questions == 2
  assert differences["recall@1_by_gold"].difference == 0.5


def test_memory_does_not_grow_with_samples_times_questions(monkeypatch):
  values = np.random.default_rng(0).random(100) - 0.4
  at_once = metrics.interval(values, 0), metrics.sign_test(values, 0)
  monkeypatch.setattr(metrics, "_DRAWN_AT_ONCE", 1000)
  parts = metrics.interval(values, 0), metrics.sign_test(values, 0)
  np.testing.assert_allclose(parts[0], at_once[0], atol=0.02)
  assert parts[1] == pytest.approx(at_once[1], abs=0.01)
