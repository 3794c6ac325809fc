import pytest

from realm_tf.datasets.questions import Question
from realm_tf.evaluation.mistake_kinds import MISTAKE_KINDS, mistake_kind


def _kind(prediction, answers, rank=-1, read=5, regex=False):
  return mistake_kind(Question("1", "q?", tuple(answers), regex), {
      "prediction": prediction, "ranks": {"answer": rank}, "read_blocks": read})


@pytest.mark.parametrize("rank, kind", [
    (0, "misread"), (4, "misread"), (5, "below"), (99, "below"), (-1, "missed")])
def test_the_kind_follows_from_where_the_answer_was_found(rank, kind):
  assert _kind("Rome", ["Paris"], rank) == (kind, "")
  assert kind in MISTAKE_KINDS


@pytest.mark.parametrize("prediction, answers", [
    ("the Beatles", ["Beatles"]), ("PARIS", ["x", "Paris"]), ("US", ["U.S."])])
def test_what_is_right_is_no_mistake(prediction, answers):
  assert _kind(prediction, answers) is None


@pytest.mark.parametrize("prediction, answer, reason", [
    ("café", "cafe", "has the same words"),
    ("1939 – 1945", "1939-1945", "has the same words"),
    ("Xiuli Dai", "Dai Xiuli", "has the same words"),
    ("in 1990 or so", "1990", "holds a right answer"),
    ("Abraham Lincoln", "Lincoln", "holds a right answer"),
    ("Lincoln", "Abraham Lincoln", "is part of a right answer"),
    ("U.S.", "United States", "has the same initials"),
    ("United Nations", "UN", "has the same initials")])
def test_what_is_near_says_why_wherever_it_was_found(prediction, answer, reason):
  for rank in (-1, 0, 9):
    assert _kind(prediction, [answer], rank) == ("near", reason)


@pytest.mark.parametrize("prediction, answer", [
    ("the", "The Beatles"), ("of", "Lord of the Rings"), ("18", "in May 18, 1990"),
    ("art", "a party"), ("Uwe S", "United States"), ("", "Paris"), ("!", "Paris"),
    ("S", "Sweden"), ("", "The"), ("?", "")])
def test_what_is_not_near(prediction, answer):
  assert (_kind(prediction, [answer], 0) or ("misread",))[0] == "misread"


def test_patterns():
  assert _kind("Everest", [r"(mt|mount)?\s?everest"], regex=True) is None
  assert _kind("the Everest", ["everest"], regex=True) == ("near", "holds a right answer")
  assert _kind("K2", ["everest"], 2, regex=True) == ("misread", "")
