"""The pre-training step against the pieces that it is made of."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.errors import UserError
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.index.exact import ExactIndex
from realm_tf.models import losses, scores
from realm_tf.run.model import initial_model
from realm_tf.text.inputs import Packed
from realm_tf.training import candidates, pretrain
from tests import tiny
from tests.training import stages


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("pretrain")
  corpus = tiny.make_corpus(folder / "corpus")
  config = tiny.make_config(folder)
  model = initial_model(config, corpus.tokenizer)
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  batch = next(iter(pretraining_batches(
      corpus, banned, batch_size=4, query_length=32, max_masks=4, support=(2, 0),
      seed=0, first_step=0, last_step=1)))
  return corpus, Passages(corpus), model, batch


def test_candidates_are_null_then_the_best_without_the_banned(world):
  corpus, passages, _, batch = world
  rng = np.random.default_rng(0)
  table = rng.integers(-4, 5, [corpus.num_blocks, 16]).astype(np.float32)
  index = ExactIndex()
  index.assign(table, 0)
  queries = rng.integers(-4, 5, [4, 16]).astype(np.float32)
  rows = scores.top_candidates(index, passages, queries, batch.banned, 5).numpy()
  products = queries @ table.T
  products[np.arange(4), batch.row.numpy()] = -np.inf
  expected = np.argsort(-products, axis=1, kind="stable")[:, :4]
  assert (rows[:, 0] == corpus.num_blocks).all()
  np.testing.assert_array_equal(rows[:, 1:], expected)


def test_a_stale_index_brings_more_and_the_fresh_tower_chooses(world):
  corpus, passages, model, batch = world
  rng = np.random.default_rng(0)
  table = rng.integers(-4, 5, [corpus.num_blocks, 16]).astype(np.float32)
  index = ExactIndex()
  index.assign(table, 0)  # says nothing about the model's own embeddings
  queries = model.retriever.embed_queries(batch.query)
  rows = candidates.reranked_candidates(
      model, index, passages, queries, batch.banned, 4, 3).numpy()
  stale = index.search(queries, 9, batch.banned)[1].numpy()
  fresh = model.retriever.embed_documents(
      passages.documents(tf.range(corpus.num_blocks), 64)).numpy() @ queries.numpy().T
  assert (rows[:, 0] == corpus.num_blocks).all()
  for b in range(4):
    best = stale[b][np.argsort(-fresh[stale[b], b])][:3]
    np.testing.assert_array_equal(rows[b, 1:], best)


@pytest.mark.slow
@pytest.mark.parametrize("mode, steps", [
    ("sync", [0, 4, 8]), *(pytest.param(mode, [0], marks=pytest.mark.stress)
                         for mode in ("rerank", "frozen"))])
def test_the_index_is_as_fresh_as_the_mode_says(world, tmp_path, mode, steps):
  corpus, passages, model, _ = world
  config = tiny.make_config(tmp_path, refresh__mode=mode)
  index = ExactIndex()
  index.assign(np.ones([corpus.num_blocks, 16], np.float32), 0)
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  loop, refresher = pretrain.train_pretrain(config, corpus, passages, model, index, banned,
                                            tmp_path / "pretrain")
  assert refresher.swaps == len(steps) - 1 and int(index.step) == steps[-1]
  recorded = {step: means["index_step"] for step, means in loop.log.rows}
  assert recorded == {step + 1: max(s for s in steps if s <= step) for step in range(12)}
  if mode == "sync":
    assert {"index_churn", "stale_index_recall", "index_staleness", "index_rows_per_second",
            "index_staleness_seconds"} <= loop.log.rows[-1][1].keys()


def test_relevance_is_by_the_fresh_tower_of_each_candidate_alone(world):
  _, passages, model, batch = world
  rows = np.array([[25, 3, 4], [25, 3, 9], [25, 0, 3], [25, 1, 2]], np.int32)
  queries = model.retriever.embed_queries(batch.query)
  actual = scores.relevance(model.retriever, passages, queries, rows).numpy()
  for b, k in np.ndindex(rows.shape):
    document = model.retriever.embed_documents(passages.documents(rows[b, k:k + 1], 64))
    np.testing.assert_allclose(actual[b, k], np.dot(queries[b], document[0]), rtol=1e-4,
                               atol=1e-4)


def test_mask_log_probs_are_those_of_each_pair_alone(world):
  _, passages, model, batch = world
  rows = np.array([[25, 3], [25, 5], [25, 0], [25, 1]], np.int32)
  actual = scores.mask_log_probs(model.encoder, passages, batch, rows, 96).numpy()
  for b, k in np.ndindex(rows.shape):
    sentence = type(batch)(*(tf.nest.map_structure(lambda t, b=b: t[b:b + 1], field)
                             for field in batch))
    pair = np.array([[25, rows[b, k]]], np.int32)
    alone = scores.mask_log_probs(model.encoder, passages, sentence, pair, 96).numpy()
    np.testing.assert_allclose(actual[b, k], alone[0, 1], rtol=1e-3, atol=1e-4)


def test_retriever_gradient_is_r_of_z_through_the_tower(world):
  """d loss / d theta = - sum_z r(z) d f(x,z) / d theta (paper, appendix A)."""
  _, passages, model, batch = world
  rows = np.array([[25, 3, 4], [25, 3, 9], [25, 0, 3], [25, 1, 2]], np.int32)
  variables = model.retriever.trainable_variables

  def relevance():
    return scores.relevance(model.retriever, passages,
                            model.retriever.embed_queries(batch.query), rows)

  log_probs = scores.mask_log_probs(model.encoder, passages, batch, rows, 96)
  with tf.GradientTape() as tape:
    loss = losses.mean_marginal(losses.joint_loss, relevance(), log_probs, batch.weights)
  gradients = tape.gradient(loss, variables)
  answer = np.exp((log_probs * batch.weights[:, None]).numpy().sum(-1))
  prior = tf.nn.softmax(relevance()).numpy()
  r = (answer / (answer * prior).sum(1, keepdims=True) - 1) * prior
  with tf.GradientTape() as tape:
    weighted = tf.reduce_sum(-relevance() * r) / len(rows)
  for actual, expected in zip(gradients, tape.gradient(weighted, variables)):
    actual, expected = tf.convert_to_tensor(actual), tf.convert_to_tensor(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("devices, accumulate", [
    pytest.param(1, 1, marks=pytest.mark.stress), (2, 2)])
def test_where_the_loss_is_not_finite_the_candidates_are_saved_as_the_step_saw_them(
    world, tmp_path, monkeypatch, mirrored, devices, accumulate):
  corpus, passages, *_ = world
  config = tiny.make_config(
      tmp_path, pretrain__batch_size=4, pretrain__accumulate=accumulate)
  monkeypatch.setattr(losses, "mean_marginal", lambda loss, scores, log_probs, *_: (
      (tf.reduce_sum(scores) + tf.reduce_sum(log_probs)) * np.nan))
  with pytest.raises(UserError, match=r"loss is nan at step 0, .*not-finite-0.npz"):
    stages.train("pretrain", tmp_path / "run", corpus, config,
                 mirrored if devices == 2 else None)
  saved = dict(np.load(tmp_path / "run" / "not-finite-0.npz", allow_pickle=False))
  model = initial_model(config, corpus.tokenizer)  # as it was before
  query = Packed(*(tf.constant(saved[f"query.{name}"]) for name in Packed._fields))
  queries = model.retriever.embed_queries(query)
  rows = candidates.configured_candidates(
      config, model, stages.make_index(config, model, passages), passages, queries,
      tf.constant(saved["banned"]))
  np.testing.assert_array_equal(saved["candidates.rows"], rows)
  np.testing.assert_allclose(
      saved["candidates.scores"],
      scores.relevance(model.retriever, passages, queries, rows), rtol=1e-4, atol=1e-4)
  np.testing.assert_array_equal(saved["candidates.examples"], range(4))
