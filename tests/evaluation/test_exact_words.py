"""Found blocks ranked by their words themselves, beside BM25 in plain Python."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.index.embed import make_index
from realm_tf.run.model import initial_model
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny
from tests.bm25 import bm25

_TOKENIZER = Tokenizer(tiny.vocabulary())
_QUESTIONS = ["what is the capital of France", "many people live in Oslo", "odd tower", ""]


class _World:

  def __init__(self, folder):
    self.corpus = tiny.make_corpus(folder / "corpus")
    config = tiny.make_config(folder, retriever__lexical_size=32)
    self.model = initial_model(config, _TOKENIZER, self.corpus)
    self.passages = Passages(self.corpus)
    self.index = make_index(self.model.retriever, self.passages)

  def answerer(self, exact_words):
    return QuestionAnswerer(self.model, self.corpus, self.passages, self.index, 3,
                            exact_words=exact_words)

  def truth(self):
    """Learnt products and BM25's: [Q, N]."""
    asked = self.model.retriever.embed_queries(_QUESTIONS).numpy()[:, :16]
    blocks = [[*self.corpus.title_ids.row(row), *self.corpus.body_ids.row(row)]
              for row in range(self.corpus.num_blocks)]
    words = np.array([bm25(_TOKENIZER.tokenize([question]).to_list()[0], blocks, blocks)
                      for question in _QUESTIONS])
    return asked @ self.index.rows()[:, :16].T, 0.6 * words


@pytest.fixture(scope="module", name="world")
def _world(tmp_path_factory):
  return _World(tmp_path_factory.mktemp("world"))


def test_scores_are_the_learnt_ones_and_bm25s(world):
  learnt, words = world.truth()
  every = world.corpus.num_blocks
  found = world.answerer(every).retrieve(tf.constant(_QUESTIONS), every)
  expected = np.take_along_axis(learnt + words, found.row.numpy(), 1)
  np.testing.assert_allclose(found.score, expected, rtol=1e-4, atol=1e-4)
  assert (np.diff(found.score.numpy()) <= 0).all()
  assert all(sorted(row) == list(range(every)) for row in found.row.numpy().tolist())
  coded = world.answerer(0).retrieve(tf.constant(_QUESTIONS), every)
  assert (coded.row.numpy()[:3] != found.row.numpy()[:3]).any()


def test_so_many_are_looked_at_and_the_best_are_returned(world):
  learnt, words = world.truth()
  coded = world.answerer(0).retrieve(tf.constant(_QUESTIONS), 9).row.numpy()
  found = world.answerer(9).retrieve(tf.constant(_QUESTIONS), 2).row.numpy()
  for question, (rows, best) in enumerate(zip(coded, found)):
    scores = (learnt + words)[question][rows]
    np.testing.assert_array_equal(best, rows[np.argsort(-scores)][:2])


def test_what_is_not_looked_at_comes_after(world):
  coded = world.answerer(0).retrieve(tf.constant(_QUESTIONS), 9)
  found = world.answerer(4).retrieve(tf.constant(_QUESTIONS), 9)
  np.testing.assert_array_equal(found.row[:, 4:], coded.row[:, 4:])
  np.testing.assert_array_equal(np.sort(found.row[:, :4]), np.sort(coded.row[:, :4]))
  assert (np.diff(found.score.numpy()) <= 0).all()


def test_banned_blocks_stay_banned(world):
  every = world.corpus.num_blocks
  answerer = world.answerer(100)
  best = answerer.retrieve(tf.constant(_QUESTIONS), 3).row
  answers, found = answerer.answer_and_retrieve(tf.constant(_QUESTIONS), every - 3,
                                                banned=best)
  for banned, rows in zip(best.numpy(), found.row.numpy()):
    assert sorted([*banned, *rows]) == list(range(every))
  assert answers.answer.shape == [4]


def test_a_retriever_without_words_is_asked_as_ever(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  model = initial_model(tiny.make_config(tmp_path), _TOKENIZER, corpus)
  passages = Passages(corpus)
  index = make_index(model.retriever, passages)
  with_words, without = (
      QuestionAnswerer(model, corpus, passages, index, 3, exact_words=count).retrieve(
          tf.constant(_QUESTIONS), 5) for count in (100, 0))
  np.testing.assert_array_equal(with_words.row, without.row)
