"""Supervised training of both towers."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.models import losses
from realm_tf.run.model import initial_model
from realm_tf.training.dpr import train_dpr
from tests import tiny
from tests.training import stages


def _ranks(model, corpus):
  """Of a block with the answer, for each question, by the towers as they are."""
  queries = model.retriever.embed_queries([q.question for q in tiny.questions()])
  scores = queries.numpy() @ stages.embed_all(model, Passages(corpus)).T
  order = np.argsort(-scores, 1)
  return np.array([next(rank for rank, row in enumerate(rows)
                        if q.answers[0] in corpus.texts[row].decode())
                   for q, rows in zip(tiny.questions(), order)])


def test_questions_learn_to_find_their_blocks(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, dpr__steps=60, dpr__mine_every=20,
                            dpr__batch_size=6, retriever__score_scale=20.0)
  loop, model = stages.train("dpr", tmp_path / "dpr", corpus, config)
  assert model.retriever.shares_towers
  assert loop.log.rows[-1][1]["loss"] < loop.log.rows[0][1]["loss"] / 2
  _, untrained = stages.train("dpr", tmp_path / "none", corpus, tiny.make_config(tmp_path))
  assert _ranks(model, corpus).mean() < _ranks(untrained, corpus).mean() / 3
  mined = sorted(path.name for path in (tmp_path / "dpr" / "mined").iterdir())
  assert mined == ["step-0.npz", "step-20.npz", "step-40.npz"]


def test_negatives_that_are_mined_again_are_other_ones(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, dpr__steps=30, dpr__mine_every=25,
                            dpr__negative_ranks=(0, 8), dpr__learning_rate=3e-3)
  stages.train("dpr", tmp_path / "dpr", corpus, config)
  first, second = (dict(np.load(tmp_path / "dpr" / "mined" / f"step-{step}.npz"))
                   for step in (0, 25))
  assert (first["negatives"] != second["negatives"]).any()
  gold = np.array([bool(q.gold_passage) for q in tiny.questions()])
  assert (first["positives"] == second["positives"])[gold].all()


def test_it_ends_as_the_best_that_it_was_by_dev_questions(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, dpr__steps=20, dpr__mine_every=5,
                            dpr__learning_rate=1e-2, retriever__score_scale=20.0)
  with tf.distribute.get_strategy().scope():
    model = initial_model(config, corpus.tokenizer)
  passages, towers = Passages(corpus), {}

  def embed(on_rows):
    table = stages.embed_all(model, passages)
    towers[len(towers)] = table
    return table

  loop = train_dpr(config, corpus, passages, model, embed, tiny.questions()[:8],
                   tiny.questions()[8:], tmp_path / "dpr")
  measured = {step: row["dev_mrr"] for step, row in loop.log.rows if "dev_mrr" in row}
  assert list(measured) == [0, 5, 10, 15, 20]
  best = max(measured, key=lambda step: measured[step])
  assert loop.facts()["best_step"] == best
  np.testing.assert_allclose(stages.embed_all(model, passages), towers[best // 5], rtol=1e-4,
                             atol=1e-5)
  assert len(towers) == 5  # what is mined and measured at a step is embedded once


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  curves = []
  for parts in (1, 2):
    config = tiny.make_config(tmp_path, dpr__steps=4, dpr__accumulate=parts)
    loop, _ = stages.train("dpr", tmp_path / f"in-{parts}", corpus, config)
    curves.append([[metrics["loss"], metrics["gradient_norm"]]
                   for _, metrics in loop.log.rows])
  np.testing.assert_allclose(*curves, rtol=1e-4)


def test_questions_that_nothing_answers_are_an_error(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, dpr__steps=4)
  model = stages.train("dpr", tmp_path / "one", corpus, config)[1]
  with pytest.raises(UserError, match="dpr: no question has an answer that stands"):
    train_dpr(config, corpus, Passages(corpus), model, None,
              [Question("1", "where is it", ("Atlantis",))], (), tmp_path / "dpr")


def test_contrastive_loss_is_that_of_a_softmax_without_what_is_right_too():
  rng = np.random.default_rng(0)
  scores = rng.normal(size=[3, 5]).astype(np.float32)
  right = np.zeros([3, 5], bool)
  right[0, [0, 3]] = right[1, 2] = True
  expected = []
  for i in range(3):
    compared = [j for j in range(5) if j == i or not right[i, j]]
    weights = np.exp(scores[i, compared])
    expected.append(-np.log(np.exp(scores[i, i]) / weights.sum()))
  np.testing.assert_allclose(losses.contrastive_loss(tf.constant(scores), tf.constant(right)),
                             expected, rtol=1e-5)
