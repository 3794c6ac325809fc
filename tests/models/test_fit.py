"""`compile` and `fit`: each model learns, by Keras's means, what the commands teach it."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from realm_tf.corpus.passages import Passages
from realm_tf.datasets.matching import find_occurrences
from realm_tf.errors import UserError
from realm_tf.examples.answered import answered_batches
from realm_tf.examples.ict_pairs import ict_batches
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.examples.qa import AnswerPlaces
from realm_tf.examples.span_batches import span_batches
from realm_tf.index.exact import ExactIndex
from realm_tf.models import losses
from realm_tf.models.reader import Reader
from realm_tf.models.realm import Realm
from realm_tf.training.optimizer import AdamW, WarmupLinearDecay, make_optimizer
from tests import tiny
from tests.models import small
from tests.training import stages


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory):
  return tiny.make_corpus(tmp_path_factory.mktemp("fit") / "corpus")


def _use(model: Realm, corpus) -> ExactIndex:
  passages = Passages(corpus)
  table = stages.embed_all(model, passages)
  index = ExactIndex()
  index.assign(table, 0)
  model.use(passages, index)
  return index


def _sentences(corpus, last_step):
  return pretraining_batches(
      corpus, np.arange(corpus.num_blocks, dtype=np.int32)[:, None], batch_size=4,
      query_length=32, max_masks=4, support=(2, 0), seed=0, first_step=0,
      last_step=last_step)


# Each learns.


def test_retriever_learns_from_pairs_of_texts_with_keras_callbacks(tmp_path):
  model = small.seeded(small.retriever)
  model.compile(AdamW(1e-2))
  callbacks = tf_keras.callbacks
  history = model.fit(
      small.QUESTIONS, (small.ANSWERS, small.PASSAGES), batch_size=6, epochs=5, verbose=0,
      validation_split=0.25, callbacks=[
          callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 * 0.9 ** epoch),
          callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True),
          callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), "val_loss",
                                    save_best_only=True),
          callbacks.TensorBoard(tmp_path / "board")]).history
  assert history["loss"][-1] < 0.9 * history["loss"][0]
  assert history["lr"] == pytest.approx([0.01 * 0.9 ** epoch for epoch in range(5)])
  assert any((tmp_path / "board").rglob("events*"))
  best = tf_keras.models.load_model(tmp_path / "best.keras")
  held_out = small.QUESTIONS[9:], (small.ANSWERS[9:], small.PASSAGES[9:])
  for arguments in (held_out, (tf.data.Dataset.from_tensor_slices(held_out).batch(32),)):
    measured = best.evaluate(*arguments, verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-5)
  np.testing.assert_array_equal(best.embed_queries(small.QUESTIONS),
                                model.embed_queries(small.QUESTIONS))


def test_reader_learns_where_answers_stand():
  pairs, model = (small.QUESTIONS, small.PASSAGES), small.seeded(small.reader)
  model.compile(tf_keras.optimizers.Adam(1e-2))
  history = model.fit(pairs, small.ANSWERS, batch_size=4, epochs=8, verbose=0).history
  assert history["loss"][-1] < 0.7 * history["loss"][0]
  assert [span.answer for span in model.read(*pairs)] == small.ANSWERS
  starts = [passage.index(city) for city, passage in zip(small.ANSWERS, small.PASSAGES)]
  ends = [start + len(city) for city, start in zip(small.ANSWERS, starts)]
  expected = model.evaluate(pairs, small.ANSWERS, verbose=0)
  for answers in ([[city, "nowhere"] for city in small.ANSWERS], (starts, ends)):
    assert model.evaluate(pairs, answers, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_realm_learns_masked_words(corpus):
  model = small.seeded(small.realm)
  _use(model, corpus)
  model.compile(AdamW(WarmupLinearDecay(1e-2, 1, 100)))
  history = model.fit(_sentences(corpus, 5), epochs=4, verbose=0).history
  assert history["loss"][-1] < 0.9 * history["loss"][0]
  assert {"retrieval_utility", "prior_entropy"} <= history.keys()
  assert "exact_span" not in history


def test_realm_learns_to_answer_and_leaves_the_document_tower_alone(corpus):
  model = small.seeded(small.realm)
  _use(model, corpus)
  model.compile("adam")
  with pytest.raises(ValueError, match="untie_towers"):
    model.fit(small.QUESTIONS, small.ANSWERS, verbose=0)
  model.retriever.untie_towers()
  model.compile(tf_keras.optimizers.Adam(3e-3))
  documents = [v.numpy() for v in model.retriever.document_tower.variables]
  history = model.fit(small.QUESTIONS, small.ANSWERS, batch_size=4, epochs=25,
                      verbose=0).history
  assert history["retriever_loss"][-1] < 0.9 * history["retriever_loss"][0]
  assert history["exact_span"][-1] > history["exact_span"][0]
  assert "prior_entropy" not in history
  for variable, before in zip(model.retriever.document_tower.variables, documents):
    np.testing.assert_array_equal(variable, before)
  with pytest.raises(UserError, match="no answer of 1 question stands in the corpus"):
    model.fit(["where"], ["nowhere"], verbose=0)


def test_realm_looks_things_up_in_what_it_was_given_last(corpus):
  model = small.seeded(small.realm)
  model.compile("sgd")
  with pytest.raises(ValueError, match=r"call use\(passages, index\) first"):
    model.fit(_sentences(corpus, 1), verbose=0)
  index, losses_ = _use(model, corpus), []
  for sign in (1, -1, 1):
    index.assign(sign * index.rows(), 0)  # a swap is seen without another trace
    losses_.append(model.evaluate(_sentences(corpus, 2), verbose=0))
  assert losses_[0] != losses_[1] == losses_[2]
  _use(model, corpus)
  again = model.evaluate(_sentences(corpus, 2), verbose=0)
  assert again == pytest.approx(losses_[0], rel=1e-5)


# By the loss that it should.


def test_a_users_loss_is_the_one_that_is_minimised(corpus):
  class Indifferent(Realm):
    """Does not look at what was read, and so learns nothing of it."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
      assert x.weights.shape.rank == 2 and y_pred.log_probs.shape.rank == 3
      return tf.reduce_mean(tf.square(y_pred.relevance))

  model = small.seeded(lambda: Indifferent(small.retriever(), small.reader(), candidates=3))
  _use(model, corpus)
  model.compile(tf_keras.optimizers.Adam(1e-2))
  reader = [v.numpy() for v in model.encoder.variables]
  history = model.fit(_sentences(corpus, 3), epochs=3, verbose=0).history
  assert history["loss"][-1] < 0.7 * history["loss"][0]
  for variable, before in zip(model.encoder.variables, reader):
    np.testing.assert_array_equal(variable, before)


def test_a_function_may_be_the_loss(corpus):
  def null_document_loss(relevance, log_probs, weights):
    del relevance
    return -tf.reduce_sum(log_probs[:, 0] * weights, -1)

  model = small.seeded(small.realm)
  _use(model, corpus)
  model.compile("sgd", null_document_loss)
  measured = model.evaluate(_sentences(corpus, 2), verbose=0, return_dict=True)
  masks = np.mean([batch.weights.numpy().sum(1).mean() for batch in _sentences(corpus, 2)])
  assert measured["loss"] > 0.9 * masks * -measured["mask_log_prob_null"] > 0


def test_a_block_that_stands_twice_is_not_its_own_negative():
  rng = np.random.default_rng(0)
  queries, documents = rng.normal(size=[2, 4, 5]).astype(np.float32)
  ids = [7, 3, 7, 9]
  expected, scores = [], queries @ documents.T
  for i in range(4):
    others = [j for j in range(4) if j == i or ids[j] != ids[i]]
    expected.append(np.log(np.exp(scores[i, others]).sum()) - scores[i, i])
  actual = losses.in_batch_softmax(tf.constant(queries), tf.constant(documents),
                                   tf.constant(ids))
  assert float(actual) == pytest.approx(np.mean(expected), rel=1e-5)


def test_equal_texts_are_one_document():
  model = small.retriever()
  batch = model.pack_pairs(["a", "b", "c", "d"], (["x", "x", "y", "x"],
                                                  ["it", "it", "it", "is"]))
  ids = batch.rows.numpy()
  assert ids[0] == ids[1] and len(set(ids)) == 3 and batch.rows.dtype == tf.int32


def test_fit_and_the_command_learn_the_same(corpus, tmp_path):
  """ICT: the same batches, optimizer and loss, and so the same weights."""
  config = tiny.make_config(tmp_path, ict__steps=3)
  _, by_command = stages.train("ict", tmp_path / "ict", corpus, config)
  model = stages.initial_model(config, corpus.tokenizer).retriever
  model.compile(make_optimizer(config.ict))
  model.fit(ict_batches(corpus, batch_size=8, removal_rate=config.ict.removal_rate,
                        query_length=32, document_length=64, seed=config.seed, first_step=0,
                        last_step=3), verbose=0)
  for actual, expected in zip(model.variables, by_command.retriever.variables, strict=True):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", [
    pytest.param(lambda: tf_keras.optimizers.SGD(0.1), marks=pytest.mark.slow),
    lambda: AdamW(1e-2, clip_norm=0.1)], ids=["SGD", "AdamW"])
def test_replicas_learn_as_one(mirrored, optimizer):
  """Each has half of a batch, and the mean of both is that of the whole."""
  weights = []
  for strategy in (tf.distribute.get_strategy(), mirrored):
    with strategy.scope():
      model: Reader = small.seeded(small.reader)
      model.compile(optimizer())
    model.fit((small.QUESTIONS[:8], small.PASSAGES[:8]), small.ANSWERS[:8], batch_size=4,
              shuffle=False, verbose=0)
    weights.append(model.get_weights())
  for single, two in zip(*weights, strict=True):
    np.testing.assert_allclose(single, two, rtol=1e-3, atol=1e-5)


# What it goes through.


def test_span_batches_mark_all_places_of_an_answer_and_nothing_else():
  passages = ["Paris is Paris, in France.", "Berlin", "the great river"]
  batch = next(iter(span_batches(["where"] * 3, passages, ["paris", ["Rome"], "great river"],
                                 small.TOKENIZER, 3, 96, 3)))
  first = 3  # [CLS] where [SEP]
  assert np.argwhere(batch.correct).tolist() == [
      [0, first, 0], [0, first + 2, 0], [2, first + 1, 1]]


def test_characters_become_the_pieces_that_they_are_in():
  passages = ["Östlich liegt Paris.", "the great river"]
  batch = next(iter(span_batches(
      ["where"] * 2, passages, ([14, 5], [19, 15]), small.TOKENIZER, 2, 96, 3)))
  ids = batch.pairs.ids.numpy()
  (row, place, width), (other, at, span) = np.argwhere(batch.correct)
  assert (row, other) == (0, 1)
  words = small.TOKENIZER.vocabulary
  assert [words[i] for i in ids[0, place:place + width + 1]] == ["paris"]
  assert [words[i] for i in ids[1, at:at + span + 1]] == ["great", "river"]


@pytest.mark.parametrize("answers, message", [
    (["Rome", "Rome"], "none of 2 passages has its answer"),
    (["Paris"], "2 passages, but 1 answers"),
    (([0, 3], [5, 99]), "example 1: characters 3 to 99 are not in its passage of 4"),
    (([0], [5]), "2 passages, but 1 starts and 1 ends")])
def test_examples_that_cannot_be_learnt_from_are_named(answers, message):
  with pytest.raises(UserError, match=message):
    span_batches(["where"] * 2, ["Paris", "by it"][:1] + ["by x"], answers, small.TOKENIZER,
                 2, 96, 3)


def test_places_of_a_batch_are_those_of_the_data_set(corpus):
  answers = [*([city] for city in small.ANSWERS), ["nowhere"], ["the river", "old"]]
  questions = [str(i) for i in range(len(answers))]
  occurrences = find_occurrences(answers, corpus, corpus.tokenizer)
  table = AnswerPlaces.of(occurrences, corpus.num_blocks)
  usable = np.flatnonzero(np.diff(occurrences.splits))
  assert len(usable) == len(answers) - 1
  rows = tf.random.stateless_uniform([5, 9], [1, 2], 0, corpus.num_blocks, tf.int32)
  taken = 0
  for batch in answered_batches(questions, answers, corpus, 5, 32):
    count = len(batch.rows)
    numbers = tf.constant(usable[taken:taken + count], tf.int32)
    places = batch.places(corpus.num_blocks)
    own_numbers = tf.range(count)
    np.testing.assert_array_equal(places.stand_in(own_numbers, rows[:count]),
                                  table.stand_in(numbers, rows[:count]))
    for actual, expected in zip(places.spans(own_numbers, rows[:count], 3),
                                table.spans(numbers, rows[:count], 3)):
      np.testing.assert_array_equal(actual, expected)
    taken += count
  assert taken == len(usable)
