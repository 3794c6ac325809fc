import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.evaluation import metrics
from realm_tf.text import patterns


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


@pytest.mark.parametrize("prediction, answers, same, published", [
    ("1939 – 1945", ["1939-1945"], True, False),
    ("co\u00adoperation", ["cooperation"], True, False),
    ("café", ["x", "cafe"], True, False),
    ("１９４６年", ["1946年"], True, False),
    ("rock ’n’ roll", ["Rock 'n' Roll"], True, False),
    ("Paris", ["paris"], True, True),
    ("the Beatles", ["Beatles"], False, True),
    ("US", ["U.S."], False, True),
    ("C", ["C++"], False, True),
    ("5", ["$5"], False, True),
    ("", ["?"], False, True),
    ("?", ["?"], True, True),
    ("", [""], False, True),
    ("\u200b", ["\u200b"], False, True),
    ("Paris", [], False, False),
])
def test_two_rules_of_what_a_right_answer_is(prediction, answers, same, published):
  assert metrics.same_words(prediction, answers) is same
  assert metrics.exact_match(prediction, answers) is published


@pytest.mark.parametrize("prediction, pattern, same, published", [
    ("Mount Everest", r"(mt|mount)\.? everest", True, True),
    ("Everest, Nepal", "everest", False, True),
    ("the Everest", "everest", False, False),
    (" everest ", r"everest\s?", True, False),
    ("", ".*", False, True),
])
def test_two_rules_for_patterns(prediction, pattern, same, published):
  assert metrics.same_words(prediction, [pattern], regex=True) is same
  assert metrics.regex_match(prediction, [pattern]) is published


@pytest.mark.parametrize("pattern", ["(unclosed", "a{99999999999}", "(?a)x", "(" * 5000])
def test_malformed_patterns_are_one_line(pattern):
  with pytest.raises(UserError, match="not a regular expression"):
    metrics.regex_match("x", [pattern])


@pytest.mark.parametrize("number, search", enumerate([
    metrics.regex_match, metrics.has_pattern,
    lambda text, answers: metrics.same_words(text, answers, True),
    lambda text, answers: metrics.rank_of_substring([text], answers, True) >= 0]))
def test_a_pattern_that_would_take_for_ever_matches_nothing_and_is_named(
    number, search, caplog, monkeypatch):
  monkeypatch.setattr(patterns, "SECONDS", 0.01)
  pattern = f"(?:a|aa)+{number}$"  # one that hangs is not tried again
  assert not search("a" * 60 + " !", [pattern])
  assert not search(f"a{number}", [pattern]) and search("aa", [pattern, "aa"])
  assert sum(pattern in record.getMessage() for record in caplog.records) == 1


def test_recall_by_substring_is_the_published_rule():
  texts = ["a party", "Art", "some art", "東京である"]
  assert metrics.rank_of_answer(texts, ["art"]) == 1
  assert metrics.rank_of_substring(texts, ["art"]) == 0
  assert metrics.rank_of_substring(texts, ["ART"]) == metrics.NOT_FOUND
  assert metrics.rank_of_answer(texts, ["京"]) == 3
  assert metrics.rank_of_substring(texts, ["京"]) == 3
  assert metrics.rank_of_answer(texts, ["a.t"], regex=True) == 1
  assert metrics.rank_of_substring(texts, ["a.t"], regex=True) == 0


@pytest.mark.parametrize("text, answer, stands", [
    ("a party", "art", False),
    ("state-of-the-art work", "art", True),
    ("Art.", "art", True),
    ("party of art", "art", True),  # the first hit is not the only one
    ("the AC/DC  tour", "ac/dc tour", True),
    ("caf\u00e9", "cafe\u0301", True),
    ("cafe\u0301", "cafe", True),
    ("a par\u00adty", "art", False),
    ("\u0915\u093f\u0924\u093e\u092c", "\u0915", False),  # so does a vowel sign
    ("in 1990s", "1990", False),
    ("in C++ code", "C++", True),
    ("C++11", "C++", True),
    ("Guns N' Roses", "guns n'", True),
    ("rock'n roll", "'n", True),  # a token of its own, after a letter too
    ("anything", "", False),
    ("anything", "  ", False),
    ("東京 is", "東京", True),
    ("日本の首都は東京である。", "東京", True),
    ("กรุงเทพมหานครเป็นเมืองหลวง", "กรุงเทพมหานคร", True),
    ("war of 1939 – 1945", "1939-1945", True),
    ("I 😀 it", "😀", True),
])
def test_answers_stand_as_whole_words(text, answer, stands):
  assert metrics.has_answer(text, [answer]) is stands
  assert metrics.has_answer(text, ["nowhere", answer]) is stands


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
