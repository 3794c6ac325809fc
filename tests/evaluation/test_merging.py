"""Merging in the graph against plain loops, and its normal form against that of Python."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.evaluation import confidence
from realm_tf.evaluation.answer_spans import Spans
from realm_tf.evaluation.merging import Chosen, choose_answers, normal_form, rescaled
from realm_tf.text.answers import normalize

TEXTS = [
    "The Beatles", "beatles", "a  the An apple", "the", "U.S.", "US", "an", "The the",
    "“The” a",
    "Ängström é", "ÅNGSTRÖM", "É\u0301a\u0301a", "a\u0301a\u0301a\u0301the", "Ωa the ω",
    "Straße a", "Иван the Грозный", "東京 the タワー", "a,b", "the-end", "a_the",
    "1990s", "the 2",
    "x\u00a0the\u2003y", "x\u2028a\x0bb", "$5", "%", "", " ", "thea athe", "a.m.", "ﬁ a",
    "½ a",
    "ª a", "e\u0301", "the\u0301 x", "\u0301the", "THE ΣΑΣ", "don't", "a'a", "[the] \\a\\ ]^"]


def test_normal_form_is_that_of_python():
  expected = [normalize(text) or text for text in TEXTS]
  forms = [text.decode() for text in normal_form(tf.constant(TEXTS)).numpy()]
  # ICU gives the sigma at a word's end its own form, Python too: both are compared.
  assert forms == expected
  square = tf.constant([TEXTS[:2], TEXTS[2:4]])
  assert normal_form(square).shape == [2, 2]


def _most_agreeing(share):
  """Of {form: share}, the most probable first."""
  def gain(form, other):
    words, others = map(collections.Counter, (form.split(), other.split()))
    return (form == other) + 2 * (words & others).total() / (words.total() + others.total())
  listed = sorted(share, key=lambda form: -share[form])[:30]
  return max(listed, key=lambda form: sum(share[x] * gain(form, x) for x in listed))


def _by_loops(spans, texts, count, merged, agreement):
  """[(text's normal form, score, probability, row, first, last)] of one question."""
  finite = [i for i in range(len(texts)) if np.isfinite(spans.score[i])]
  groups = {}
  for i in finite:
    groups.setdefault(normalize(texts[i]) or texts[i], []).append(i)
  share = {form: (sum if merged else max)(float(spans.share[i]) for i in places)
           for form, places in groups.items()}
  listed, taken = [], []
  given = _most_agreeing(share) if agreement else None
  for form in sorted(groups, key=lambda form: (form != given, -share[form],
                                               groups[form][0])):
    best = groups[form][0]
    if all(spans.row[best] != spans.row[i] or spans.last[best] < spans.first[i]
           or spans.last[i] < spans.first[best] for i in taken):
      taken += groups[form]
      listed.append((form, spans.score[best], share[form], spans.row[best],
                     spans.first[best], spans.last[best]))
  return listed[:count]


@pytest.mark.parametrize("merged, agreement", [
    (True, False), (False, False), (True, True), (False, True)])
def test_answers_are_those_of_plain_loops(merged, agreement):
  rng = np.random.default_rng(0)
  size, most, words = 12, 40, "river the Old old. bridge a Paris".split()
  longer = less_probable = 0
  for trial in range(4):
    row, first = rng.integers(0, 3, [size, most]), rng.integers(0, 12, [size, most])
    last = first + rng.integers(0, 3, [size, most])
    text = rng.choice(words, [size, 3, 16])
    texts = [[" ".join(text[p, row[p, s], first[p, s]:last[p, s] + 1]) for s in range(most)]
             for p in range(size)]
    score = -np.sort(-rng.normal(size=[size, most])).astype(np.float32)
    score[:, 30 + trial:] = -np.inf
    share = np.where(np.isfinite(score), np.exp(score), 0)
    share = (0.9 * share / share.sum(1, keepdims=True)).astype(np.float32)
    spans = Spans(score, share, *(value.astype(np.int32) for value in (row, first, last)))
    answers = choose_answers(Spans(*map(tf.constant, spans)), tf.constant(texts), 9, merged,
                             agreement)
    for p in range(size):
      expected = _by_loops(Spans(*(value[p] for value in spans)), texts[p], 9, merged,
                           agreement)
      longer += len(expected) > 3
      less_probable += expected[0][2] < max(text[2] for text in expected)
      columns = [value[p].numpy() for value in answers]
      assert len(expected) == (columns[2] >= 0).sum()
      for actual, wanted in zip(zip(*columns), expected):
        np.testing.assert_allclose(actual[1], wanted[2], rtol=1e-5)
        assert (actual[0], *actual[2:]) == (wanted[1], *wanted[3:])
      assert (columns[1][len(expected):] == 0).all()
  assert longer > 20 and (less_probable > 5) == agreement


def test_near_copies_are_not_listed_and_other_places_are():
  """'Paris' beside 'in Paris' at the same place; 'Paris, France' stands elsewhere too."""
  texts = [["Paris", "in Paris", "the paris", "Paris, France", "Rome", "France"]]
  spans = Spans(tf.constant([[6.0, 5, 4, 3, 2, 1]]),
                tf.constant([[0.3, 0.2, 0.2, 0.1, 0.05, 0.04]]),
                tf.constant([[0, 0, 1, 1, 2, 1]]), tf.constant([[5, 4, 7, 8, 0, 10]]),
                tf.constant([[5, 5, 8, 10, 0, 10]]))
  answers = choose_answers(spans, tf.constant(texts), 6, True)
  np.testing.assert_allclose(answers.probability, [[0.5, 0.05, 0.04, 0, 0, 0]])
  assert answers.row.numpy().tolist() == [[0, 2, 1, -1, -1, -1]]


def test_rescaled_probabilities_are_those_of_numpy_and_nothing_stays_nothing():
  p = np.float32([[1.0000001, 1.0, 0.999, 0.5, 0.01, 1e-30, 0]])
  actual = rescaled(Chosen(None, tf.constant(p), None, None, None), 0.9, 0.4).probability
  np.testing.assert_allclose(actual[0, :-1], confidence.rescaled(p[0, :-1], 0.9, 0.4), 1e-4)
  assert actual[0, -1] == 0 and (np.diff(actual[0]) <= 0).all() and actual[0, 0] <= 1


def test_a_question_without_any_span_has_its_block_and_nothing_else():
  nothing = Spans(tf.fill([1, 2], -float("inf")), tf.zeros([1, 2]), tf.constant([[4, 4]]),
                  tf.constant([[0, 0]]), tf.constant([[-1, -1]]))
  answers = choose_answers(nothing, tf.constant([["", ""]]), 2, True)
  assert answers.row.numpy().tolist() == [[4, -1]]
  assert answers.probability.numpy().tolist() == [[0, 0]]
