"""The answer that agrees with others, against plain loops."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.evaluation import agreement
from realm_tf.evaluation.agreement import most_agreeing
from realm_tf.text.answers import normalize

_WORDS = "old Old new river bridge. 東京 Ängström É\u0301 1990s $5 % — the".split()


def _f1(first, second):
  first, second = first.split(), second.split()
  common = collections.Counter(first) & collections.Counter(second)
  return 2 * sum(common.values()) / max(1, len(first) + len(second))


def _worth(forms, probability):
  """Of each string, those that are not compared at -1."""
  listed = [i for i in np.argsort(-probability, kind="stable") if probability[i] >= 0]
  listed = listed[:agreement.COMPARED]
  worth = np.full(len(forms), -1.0)
  for i in listed:
    worth[i] = sum(probability[j] * ((i == j) + _f1(forms[i], forms[j])) for j in listed)
  return worth


def _drawn(rng, strings):
  """So many strings in normal form, no two the same; words are repeated in them."""
  forms = {}
  while len(forms) < strings:
    text = " ".join(rng.choice(_WORDS, rng.integers(1, 8)))
    forms[normalize(text) or text] = None
  return list(forms)


@pytest.mark.parametrize("strings", [1, 2, 7, 45])
def test_the_answer_is_that_of_plain_loops(strings):
  rng = np.random.default_rng(strings)
  forms = [_drawn(rng, strings) for _ in range(40)]
  probability = rng.dirichlet(np.full(strings, 3.0), 40).astype(np.float32)
  probability[rng.random(probability.shape) < 0.2] = -1
  probability[:, 0] = np.abs(probability[:, 0])
  chosen = most_agreeing(tf.constant(forms), tf.constant(probability)).numpy()
  others = 0
  for i, place in enumerate(chosen):
    worth = _worth(forms[i], probability[i])
    assert worth[place] == pytest.approx(worth.max(), abs=1e-6) and probability[i, place] >= 0
    others += place != probability[i].argmax()
  assert others > 5 or strings < 7


def test_forms_of_one_answer_win_over_a_more_probable_other():
  forms = [["mccain", "obama", "barack obama", "president barack obama"]]
  choose = lambda *p: int(most_agreeing(tf.constant(forms), tf.constant([p]))[0])
  assert choose(0.35, 0.2, 0.25, 0.2) == 2
  assert choose(0.6, 0.1, 0.2, 0.1) == 0  # nothing outweighs half
  assert choose(0.3, -1.0, 0.3, -1.0) == 0  # as good: the first
  # By F1 alone "barack obama" would be worth .2 * (1 + 2 / 3 + 4 / 5), more than .4.
  assert choose(0.4, 0.2, 0.2, 0.2) == 0


def test_words_count_as_often_as_both_have_them():
  forms = [["new york new york", "new york", "york york york", "new new"]]
  counts = agreement._word_counts(tf.constant(forms))
  np.testing.assert_allclose(agreement._f1(counts)[0], [
      [_f1(a, b) for b in forms[0]] for a in forms[0]], rtol=1e-6)


def test_nothing_to_choose_from():
  assert most_agreeing(tf.zeros([0, 4], tf.string), tf.zeros([0, 4])).shape == [0]
  nothing = most_agreeing(tf.constant([["", ""], ["a", "a b"]]),
                          tf.constant([[-1.0, -1], [0, 0]]))
  assert nothing.numpy().tolist() == [0, 0]


def test_long_answers_are_no_quadratic_cost():
  """Spans may be 1,000 pieces: pairs of words of pairs of strings would be 10 ** 9."""
  rng = np.random.default_rng(3)
  forms = [[" ".join(map(str, rng.integers(0, 2000, 1000))) for _ in range(30)]]
  probability = rng.dirichlet(np.ones(30), 1).astype(np.float32)
  chosen = int(most_agreeing(tf.constant(forms), tf.constant(probability))[0])
  worth = _worth(forms[0], probability[0])
  assert worth[chosen] == pytest.approx(worth.max(), abs=1e-6)
