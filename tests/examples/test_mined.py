"""Positives and hard negatives, against what they are by hand."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.datasets.matching import find_occurrences
from realm_tf.examples.mined import draw, gold_rows, mine
from tests import tiny


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory):
  return tiny.make_corpus(tmp_path_factory.mktemp("mined") / "corpus")


def _row(corpus, name):
  return list(corpus.document_ids).index(name)


def _mined(corpus, answers, gold, retrieved, ranks=(0, 10)):
  occurrences = find_occurrences(answers, corpus, corpus.tokenizer)
  return mine(np.array(retrieved), occurrences, gold_rows(gold, occurrences, corpus), ranks)


def test_the_gold_block_is_positive_and_no_block_with_an_answer_is_negative(corpus):
  city, country, other, odd = (_row(corpus, name) for name in (
      "city-Paris", "country-France", "city-Rome", "odd"))
  mined = _mined(corpus, [["Paris"]], ["country-France"], [[city, other, country, odd]])
  assert mined.positives.tolist() == [country]
  assert mined.negatives[0].tolist() == [other, odd, -1, -1]


def test_without_a_gold_block_the_best_found_one_that_answers_is_positive(corpus):
  city, country, other = (_row(corpus, name) for name in (
      "city-Paris", "country-France", "city-Rome"))
  retrieved = [[other, country, city], [other, other, other], [other, city, country]]
  mined = _mined(corpus, [["Paris"], ["Paris"], ["Atlantis"]], ["", "", ""], retrieved)
  assert mined.positives.tolist() == [country, min(city, country), -1]
  assert mined.usable.tolist() == [0, 1]


def test_a_gold_block_in_which_no_answer_stands_is_still_no_negative(corpus):
  city, other = _row(corpus, "city-Paris"), _row(corpus, "city-Rome")
  mined = _mined(corpus, [["Atlantis"]], ["city-Paris"], [[city, other]])
  assert mined.positives.tolist() == [city] and mined.negatives[0].tolist() == [other, -1]


def test_negatives_are_of_the_ranks_that_are_asked_for(corpus):
  rows = [_row(corpus, f"city-{name}") for name in ("Rome", "Oslo", "Cairo", "Berlin")]
  mined = _mined(corpus, [["Paris"]], [""], [rows], (1, 3))
  assert mined.negatives.tolist() == [rows[1:3]]


def test_draws_are_different_and_repeat_themselves():
  negatives = tf.constant([[4, 5, 6, 7, -1], [8, -1, -1, -1, -1], [-1] * 5])

  def drawn(step):
    return draw(negatives, 2, 3, 1, tf.constant(step, tf.int64)).numpy()

  draws = np.stack([drawn(step) for step in range(200)])
  np.testing.assert_array_equal(draws[17], drawn(17))
  assert (draws[:, 0, 0] != draws[:, 0, 1]).all() and set(draws[:, 0].ravel()) == {4, 5, 6, 7}
  assert set(draws[:, 1].ravel()) == {8}
  assert set(draws[:, 2].ravel()) == {0, 1, 2}  # any block
