import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.evaluation import metrics


@pytest.mark.parametrize("text, normal", [
    ("The  Beatles!", "beatles"),
    ("U.S. Navy", "us navy"),
    ("an apple a day", "apple day"),
    ("Another theatre", "another theatre"),
    ("The", ""),
    ("Café", "cafe\u0301"),
])
def test_normal_form_is_that_of_squad(text, normal):
  assert metrics.normalize(text) == normal


def test_exact_match_needs_the_whole_answer():
  assert metrics.exact_match("the Eiffel Tower.", ["Louvre", "Eiffel tower"])
  assert metrics.exact_match("Caf\u00e9", ["cafe\u0301"])
  assert not metrics.exact_match("Eiffel", ["Eiffel tower"])
  assert not metrics.exact_match("Eiffel", [])


def test_f1_takes_the_best_answer():
  # 2 tokens in common, of 3 and of 2: precision 2/3, recall 1.
  assert metrics.f1("king of France", ["king France", "queen"]) == pytest.approx(0.8)
  assert metrics.f1("a b b", ["b"]) == pytest.approx(2 / 3)  # 'a' is an article
  assert metrics.f1("", ["king"]) == 0
  assert metrics.f1("king", []) == 0


def test_regex_match_starts_at_the_beginning_and_ignores_case():
  assert metrics.regex_match("Mount Everest", [r"(mt|mount)\.? everest"])
  assert metrics.regex_match("Everest, Nepal", ["everest"])
  assert not metrics.regex_match("the Everest", ["everest"])
  assert metrics.regex_match("É", ["é"])


def test_malformed_pattern_is_named():
  with pytest.raises(UserError, match=r"\(unclosed"):
    metrics.regex_match("x", ["(unclosed"])


@pytest.mark.parametrize("text, answer, found", [
    ("a party", "art", False),
    ("state-of-the-art work", "art", True),
    ("Art.", "art", True),
    ("party of art", "art", True),  # the first hit is not the only one
    ("the AC/DC  tour", "ac/dc tour", True),
    ("caf\u00e9", "cafe\u0301", True),
    ("cafe\u0301", "cafe", False),  # a combining mark belongs to its letter
    ("\u0915\u093f\u0924\u093e\u092c", "\u0915", False),  # so does a vowel sign
    ("in 1990s", "1990", False),
    ("in C++ code", "C++", True),
    ("C++11", "C++", True),
    ("Guns N' Roses", "guns n'", True),
    ("rock'n roll", "'n", True),  # a token of its own, after a letter too
    ("anything", "", False),
    ("anything", "  ", False),
    ("東京 is", "東京", True),
    ("I 😀 it", "😀", True),
])
def test_answers_stand_at_token_boundaries(text, answer, found):
  assert metrics.has_answer(text, [answer]) is found
  assert metrics.has_answer(text, ["nowhere", answer]) is found


def test_rank_of_answer():
  texts = ["a party", "some art", "more art"]
  assert metrics.rank_of_answer(texts, ["art"]) == 1
  assert metrics.rank_of_answer(texts, ["artful"]) == metrics.NOT_FOUND
  assert metrics.rank_of_answer(texts, [r"so\w+ art"], regex=True) == 1


def test_recall_counts_ranks_below_k():
  ranks = [0, 4, 5, metrics.NOT_FOUND]
  assert metrics.recall_at(ranks, [1, 5, 20]) == {1: 0.25, 5: 0.5, 20: 0.75}
  with pytest.raises(ValueError, match="no ranks"):
    metrics.recall_at([], [1])


def test_interval_covers_the_mean_as_often_as_it_says():
  generator = np.random.default_rng(0)
  covered = 0
  for seed in range(100):
    low, high = metrics.interval(generator.random(100) < 0.3, seed, samples=200)
    covered += low <= 0.3 <= high
  assert 85 <= covered <= 99
  values = [0, 1, 1, 0, 1]
  assert metrics.interval(values, 3) == metrics.interval(values, 3)
