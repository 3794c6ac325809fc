import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.evaluation import bm25
from realm_tf.evaluation.bm25 import bm25_rows

_DOCUMENTS = ["Rome is the capital of Italy", "Paris is the capital of France",
              "The dog barks", "Paris Texas is a film about France and Paris"]


def test_best_documents_come_first(capfd):
  rows = bm25_rows(["What is the CAPITAL of France?", "dog", "capital"], _DOCUMENTS, 2)
  assert rows.dtype == np.int32 and rows.shape == (3, 2)
  assert rows[0, 0] == 1
  assert rows[1, 0] == 2
  assert set(rows[2]) == {0, 1}
  assert capfd.readouterr() == ("", "")


def test_rows_are_those_of_the_formula(monkeypatch):
  monkeypatch.setattr(bm25, "_TOGETHER", 7)
  rng = np.random.default_rng(0)
  vocabulary = [f"w{number}" for number in range(40)]
  texts = [rng.choice(vocabulary, rng.integers(0, 20)).tolist() for _ in range(50)]
  known = [*vocabulary[:12], "new"]
  asked = [rng.choice(known, 6, replace=False).tolist() for _ in range(20)]
  length = np.mean([len(text) for text in texts])

  def score(question, text):  # Robertson's, in Lucene's form
    total = 0.0
    for word in question:
      held, count = sum(word in other for other in texts), text.count(word)
      idf = np.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
      total += idf * count / (count + 1.5 * (0.25 + 0.75 * len(text) / length))
    return total

  rows = bm25_rows([" ".join(question) for question in asked],
                   (" ".join(text) for text in texts), 50)
  for question, found in zip(asked, rows):
    scores = [score(question, text) for text in texts]
    np.testing.assert_allclose(np.array(scores)[found], sorted(scores)[::-1], atol=1e-5)


def test_of_equal_documents_the_lower_rows_come_first(monkeypatch):
  monkeypatch.setattr(bm25, "_TOGETHER", 3)
  texts = ["the dog barks", "a cat"] * 10
  assert bm25_rows(["dog", "cat", "dog dog cat"], texts, 4).tolist() == [
      [0, 2, 4, 6], [1, 3, 5, 7], [0, 2, 4, 6]]


def test_nothing_is_left_in_the_folder_for_what_is_needed_meanwhile(tmp_path):
  assert bm25_rows(["dog"], _DOCUMENTS, 1, scratch=tmp_path).tolist() == [[2]]
  assert not list(tmp_path.iterdir())
  with pytest.raises(FileNotFoundError):
    bm25_rows(["dog"], _DOCUMENTS, 1, scratch=tmp_path / "none")


def test_question_without_a_known_word_still_gets_rows():
  rows = bm25_rows(["zebra", "", "what is the"], _DOCUMENTS, 4)
  assert [sorted(row) for row in rows.tolist()] == [[0, 1, 2, 3]] * 3
  assert bm25_rows([], _DOCUMENTS, 3).shape == (0, 3)


@pytest.mark.parametrize("documents", [["the"], ["", "of the", "a"], ["?", "x"]])
def test_documents_without_words_still_give_rows(documents):
  k = len(documents)
  assert bm25_rows(["the", "rome"], documents, k).tolist() == [list(range(k))] * 2


@pytest.mark.parametrize("questions", [["the"], ["what is the", "of"], ["", "?"]])
def test_questions_of_stop_words_alone_still_get_rows(questions):
  rows = bm25_rows(questions, _DOCUMENTS, 4)
  assert [sorted(row) for row in rows.tolist()] == [[0, 1, 2, 3]] * len(questions)


@pytest.mark.parametrize("k", [0, 5])
def test_k_that_does_not_fit_is_named(k):
  with pytest.raises(UserError, match=f"k={k}.*4"):
    bm25_rows(["dog"], _DOCUMENTS, k)
