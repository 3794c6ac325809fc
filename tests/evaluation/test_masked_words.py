"""Masked words of held-out sentences against a model whose answers are known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.evaluation import masked_words as module
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.index.exact import ExactIndex
from realm_tf.models import scores
from realm_tf.models.extractive import CopyingReader
from realm_tf.run.model import initial_model
from tests import tiny


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("masked")
  corpus = tiny.make_corpus(folder / "corpus")
  config = tiny.make_config(folder, evaluate__masked_sentences=4)
  model = initial_model(config, corpus.tokenizer)
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  index = ExactIndex()
  rng = np.random.default_rng(0)
  index.assign(rng.normal(size=[corpus.num_blocks, 16]).astype(np.float32), 0)
  return config, corpus, Passages(corpus), model, index, banned


def _sentences(world, held_out, steps):
  config, corpus, *_, banned = world
  batches = pretraining_batches(
      corpus, banned, batch_size=4, query_length=32, max_masks=10,
      support=config.pretrain.span_blocks, seed=0, first_step=0, last_step=steps,
      held_out=held_out)
  # The block and the sentence in it, whichever of its spans is masked.
  return {(int(row), tuple(np.where(np.isin(np.arange(len(ids)), place[weight > 0]), 0, ids)))
          for batch in batches
          for row, ids, place, weight in zip(batch.row.numpy(), batch.query.ids.numpy(),
                                             batch.positions.numpy(), batch.weights.numpy())}


def test_held_out_sentences_are_never_trained_on(world):
  held_out, trained = _sentences(world, True, 10), _sentences(world, False, 60)
  blocks = {row for row, _ in held_out}
  assert held_out and len(trained) > 10
  assert not {sentence for sentence in trained if sentence[0] in blocks} & held_out


def _word_head_that_knows(monkeypatch, with_blocks, alone):
  """Each candidate is right by so much, in nats over a wrong piece."""
  def distributions(encoder, passages, batch, rows, length, window):
    del encoder, passages, length, window
    gains = tf.constant([alone] + [with_blocks] * (rows.shape[1] - 1))  # [K]
    size = len(tiny.vocabulary())
    right = tf.one_hot(batch.labels, size)[:, None]  # [B, 1, M, V]
    wrong = tf.one_hot((batch.labels + 1) % size, size)[:, None]
    gains = gains[None, :, None, None]
    return tf.nn.log_softmax(right * gains - wrong * gains)
  monkeypatch.setattr(module, "mask_distributions", distributions)


@pytest.mark.parametrize("with_blocks, alone", [(5.0, -5.0), (-5.0, 5.0)])
def test_shares_are_of_the_mixture_and_of_the_null_document(world, monkeypatch,
                                                            with_blocks, alone):
  _word_head_that_knows(monkeypatch, with_blocks, alone)
  model, index = world[3], world[4]
  # All candidates alike to the retriever: the mixture is an even one.
  monkeypatch.setattr(module, "relevance", lambda *a: tf.zeros_like(a[3], tf.float32))
  measured = module.masked_words(*world[:3], model, index, world[5])
  share = (2 * (with_blocks > 0) + (alone > 0)) / 3  # of the mass on the right piece
  assert measured["masked_words"] == float(share > 0.5)
  assert measured["masked_words_alone"] == float(alone > 0)
  assert np.sign(measured["retrieval_utility"]) == np.sign(with_blocks - alone)


@pytest.mark.parametrize("changes, null", [
    ({}, None), ({"null_document": False}, 0.0), ({"null_share": 0.3}, 0.3),
    ({"objective": "extractive", "null_share": 0.1, "candidates": 20}, 0.1)])
def test_gain_is_that_of_the_loss(world, changes, null):
  """RU of the mixture = log p(y|x) - log p(y|null,x), from the training functions."""
  config, corpus, passages, model, index, banned = world
  config = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain,
                                                                    **changes))
  batch = next(iter(pretraining_batches(
      corpus, banned, batch_size=4, query_length=32, max_masks=10,
      support=config.pretrain.span_blocks, seed=0, first_step=0, last_step=1,
      held_out=True)))
  queries = model.retriever.embed_queries(batch.query)
  rows = scores.top_candidates(index, passages, queries, batch.banned,
                               config.pretrain.candidates)
  relevance = scores.relevance(model.retriever, passages, queries, rows).numpy().astype(
      np.float64)
  copies = config.pretrain.objective == "extractive"
  read = CopyingReader(model.encoder, corpus.tokenizer.continuation,
                       config.pretrain.span_share) if copies else None
  log_probs = scores.mask_log_probs(model.encoder, passages, batch, rows, 96,
                                    read=read).numpy()
  prior = np.exp(relevance - relevance.max(1, keepdims=True))
  if null is not None:  # what the others leave or are left
    prior[:, 0] = prior[:, 1:].sum(1) * null / (1 - null)
  prior /= prior.sum(1, keepdims=True)
  if copies:  # a span is all of its pieces
    log_probs = log_probs.sum(2, keepdims=True)
  weights = np.ones_like(log_probs[:, 0]) if copies else batch.weights.numpy()
  mixed = np.log((prior[:, :, None] * np.exp(log_probs)).sum(1))  # [B, M]
  gain = ((mixed - log_probs[:, 0]) * weights).sum(1).mean()
  measured = module.masked_words(config, corpus, passages, model, index, banned)
  assert measured["retrieval_utility"] == pytest.approx(gain, abs=1e-4)
