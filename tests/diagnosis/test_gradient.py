"""The diagnosis against plain autodiff over all documents of a tiny corpus."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.diagnosis.gradient import Diagnosis, cosine
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.models import scores
from realm_tf.registry import LOSSES
from realm_tf.run.model import initial_model
from tests import tiny


class World:
  """A model, its corpus, and two batches of sentences that ban their own block."""

  def __init__(self, folder, blocks=0, strategy=None, **changes):
    self.corpus = tiny.make_corpus(folder / "corpus")
    # Few word pieces a batch: documents and pairs come in many chunks.
    self.config = tiny.make_config(folder, embed_batch_tokens=128, **changes)
    with (strategy or tf.distribute.get_strategy()).scope():
      self.model = initial_model(self.config, self.corpus.tokenizer)
    # Random BERTs find all texts alike: without this no document would stand out, neither
    # by the towers nor by the encoder, whose logits are products with its embeddings.
    towers = self.model.retriever.towers
    for bert in (*(tower.bert for tower in towers), self.model.encoder.bert):
      bert.word_embeddings.assign(bert.word_embeddings * 30.0)
    for tower in towers:
      tower.norm.gamma.assign(tower.norm.gamma * 0.7)
    for layer in self.model.encoder.bert.layers:
      for variable in layer.trainable_variables:
        if variable.shape.rank == 2:
          variable.assign(variable * 6.0)
    self.passages = Passages(self.corpus)
    self.banned = np.arange(self.corpus.num_blocks, dtype=np.int32)[:, None]
    data = pretraining_batches(
        self.corpus, self.banned, batch_size=4, query_length=32, max_masks=4,
        support=(2, 0), seed=0, first_step=0, last_step=2)
    self.batches = list(data)
    self.diagnosis = Diagnosis(self.config, self.model, self.passages, self.batches,
                               data.element_spec, self.loss, blocks)

  def loss(self, scores, log_probs, weights):
    return LOSSES[self.config.pretrain.loss](scores, log_probs, weights)

  def all_rows(self, batch):
    """The null document and all blocks but the banned one of each sentence: [B, N]."""
    everything = np.arange(self.corpus.num_blocks)
    return np.array([[self.corpus.num_blocks, *np.delete(everything, row)]
                     for row in batch.row.numpy()], np.int32)

  def gradient(self, batch, rows):
    """Of the loss over candidates [B, K], by plain autodiff, as one vector."""
    variables = self.model.retriever.trainable_variables
    log_probs = scores.mask_log_probs(self.model.encoder, self.passages, batch, rows, 96)
    with tf.GradientTape() as tape:
      queries = self.model.retriever.embed_queries(batch.query)
      relevance = scores.relevance(self.model.retriever, self.passages, queries, rows)
      loss = self.loss(relevance, log_probs, batch.weights)
    vector = np.concatenate([tf.reshape(tf.convert_to_tensor(g), [-1])
                             for g in tape.gradient(loss, variables)])
    return vector, relevance.numpy(), log_probs.numpy()


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  return World(tmp_path_factory.mktemp("diagnosis"))


def _choose_some(queries, banned, k):
  """The null document and the last K - 1 blocks that are not banned."""
  del queries
  return np.array([[25, *(row for row in range(24, -1, -1) if row not in bans)][:k]
                   for bans in banned.numpy()], np.int32)


def _softmax(values):
  values = np.exp(values - values.max(1, keepdims=True))
  return values / values.sum(1, keepdims=True)


@pytest.mark.parametrize("changes", [
    {}, {"retriever__shared_towers": False}, {"pretrain__loss": "per_mask"}])
def test_full_and_truncated_gradients_are_those_of_plain_autodiff(tmp_path, changes):
  world = World(tmp_path, **changes)
  measured = world.diagnosis.measure({"some": _choose_some}, [3])
  gradients, norms, cosines, ratios = [], [], [], []
  for batch in world.batches:
    full = world.gradient(batch, world.all_rows(batch))[0]
    part = world.gradient(batch, _choose_some(None, batch.banned, 3))[0]
    gradients.append(full)
    norms.append(np.linalg.norm(full))
    cosines.append(cosine(part, full))
    ratios.append(np.linalg.norm(part) / np.linalg.norm(full))
  truncated = next(row for row in measured["rows"] if row["candidates"] == "some")
  assert measured["full_gradient_norm"] == pytest.approx(np.mean(norms), rel=5e-3)
  assert truncated["gradient_cosine"] == pytest.approx(np.mean(cosines), abs=5e-3)
  assert abs(truncated["gradient_cosine"]) < 0.99  # else the test would say little
  assert truncated["gradient_norm_ratio"] == pytest.approx(np.mean(ratios), rel=5e-3)
  assert measured["gradient_cosine_between_batches"] == pytest.approx(cosine(*gradients),
                                                                      abs=5e-3)
  assert measured["summed_mass"] == pytest.approx(1)


def test_both_ways_through_a_shared_tower_add_up(world):
  measured = world.diagnosis.measure({}, [3])
  norms = [measured[f"full_gradient_norm_by_{way}"] for way in ("queries", "documents")]
  assert abs(norms[0] - norms[1]) < measured["full_gradient_norm"] < sum(norms)


def test_masses_and_entropies_are_those_of_a_plain_softmax(world):
  measured = world.diagnosis.measure({"some": _choose_some}, [4])
  prior_mass, posterior_mass, entropies, after, best_mass = [], [], [], [], []
  for batch in world.batches:
    rows = world.all_rows(batch)
    _, scores, log_probs = world.gradient(batch, rows)
    prior = _softmax(scores)
    answer = np.einsum("bkm,bm->bk", log_probs, batch.weights)
    posterior = _softmax(scores + answer)
    chosen = _choose_some(None, batch.banned, 4)
    held = (rows[:, :, None] == chosen[:, None]).any(2)
    prior_mass.extend((prior * held).sum(1))
    posterior_mass.extend((posterior * held).sum(1))
    best_mass.extend(prior[:, 0] + np.sort(prior[:, 1:], 1)[:, -3:].sum(1))
    entropies.extend(-(prior * np.log(prior)).sum(1))
    after.extend(-(posterior * np.log(posterior)).sum(1))
  fresh, some_row = measured["rows"]
  assert some_row["softmax_mass"] == pytest.approx(np.mean(prior_mass), rel=1e-3)
  assert some_row["posterior_mass"] == pytest.approx(np.mean(posterior_mass), rel=1e-3)
  assert fresh["softmax_mass"] == pytest.approx(np.mean(best_mass), rel=1e-3)
  assert measured["prior_entropy"] == pytest.approx(np.mean(entropies), rel=1e-3)
  assert measured["posterior_entropy"] == pytest.approx(np.mean(after), rel=1e-3)


def test_as_many_candidates_as_there_are_leave_nothing_out(world):
  measured = world.diagnosis.measure({"some": _choose_some}, [25, 1000])
  assert [(row["candidates"], row["k"]) for row in measured["rows"]] == [
      ("fresh", 25), ("some", 25)]
  for row in measured["rows"]:
    for name in ("softmax_mass", "posterior_mass", "gradient_cosine", "sentence_cosine",
                 "gradient_cosine_by_queries", "gradient_cosine_by_documents",
                 "gradient_norm_ratio"):
      assert row[name] == pytest.approx(1, abs=1e-5), name


def test_of_a_large_corpus_the_best_are_summed_and_the_mass_says_how_much(tmp_path, world):
  part = World(tmp_path, blocks=10)
  partial = part.diagnosis.measure({"some": _choose_some}, [4])
  assert partial["summed_blocks"] == 10 and partial["blocks"] == 25
  complete = world.diagnosis.measure({"some": _choose_some}, [4, 11])
  best = next(row for row in complete["rows"] if row["k"] == 11)
  # The best 10 and the null document; blocks that "some" chose are there besides.
  assert best["softmax_mass"] - 1e-6 <= partial["summed_mass"] < 1
  # Shares of the prior are of all blocks all the same.
  by_name = {row["candidates"]: row["softmax_mass"] for row in partial["rows"]}
  for row in complete["rows"]:
    if row["k"] == 4:
      assert by_name[row["candidates"]] == pytest.approx(row["softmax_mass"], rel=1e-4)
  assert partial["prior_entropy"] == pytest.approx(complete["prior_entropy"], rel=1e-4)


def test_it_measures_the_model_as_it_is_now(world):
  before = world.diagnosis.measure({}, [3])["prior_entropy"]
  scale = world.model.retriever.query_tower.norm.gamma
  scale.assign(scale * 0.5)
  after = world.diagnosis.measure({}, [3])["prior_entropy"]
  scale.assign(scale * 2.0)
  assert after > before * 1.01
  assert world.diagnosis.measure({}, [3])["prior_entropy"] == pytest.approx(before)


def test_of_a_model_on_several_devices_it_is_the_same(tmp_path, mirrored, world):
  measured = World(tmp_path, strategy=mirrored).diagnosis.measure({"some": _choose_some}, [4])
  expected = world.diagnosis.measure({"some": _choose_some}, [4])
  assert measured["full_gradient_norm"] == pytest.approx(expected["full_gradient_norm"],
                                                         rel=1e-3)
  for row, other in zip(measured["rows"], expected["rows"]):
    assert row["gradient_cosine"] == pytest.approx(other["gradient_cosine"], abs=1e-3)
