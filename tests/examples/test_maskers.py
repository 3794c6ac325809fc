"""What each masker masks, against the sentences themselves."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.tables import at
from realm_tf.examples.maskers import Masked, RandomTokens
from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.registry import MASKERS, Registry
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny


@pytest.fixture(name="corpus", scope="module")
def _corpus():
  more = [Document(f"more-{city}", city, f"Many people live in {city} by the old river.")
          for city in tiny.CITIES]  # another block of each article
  return Corpus.from_documents([*tiny.documents(), *more], Tokenizer(tiny.vocabulary()), 64)


def _drawn(corpus, name, seed=3, steps=20, max_masks=4):
  masker = MASKERS[name](corpus, max_masks, (1, 0), seed)
  sentences = masker.sentences
  chosen = tf.constant(np.arange(8) % len(sentences.row), tf.int32)
  for step in range(steps):
    masked = masker.mask(tf.constant(step, tf.int64), chosen)
    yield from zip((sentences.start[i] for i in chosen), (sentences.end[i] for i in chosen),
                   masked.positions.to_list())


@pytest.mark.parametrize("name", list(MASKERS))
def test_masks_are_inside_of_their_sentence_ascending_and_no_more_than_allowed(corpus, name):
  for start, end, positions in _drawn(corpus, name):
    assert 1 <= len(positions) <= 4
    assert positions == sorted(set(positions))
    assert start <= positions[0] and positions[-1] < end


@pytest.mark.parametrize("name", list(MASKERS))
def test_the_same_seed_and_step_mask_the_same_and_another_seed_does_not(corpus, name):
  first, again, other = (list(_drawn(corpus, name, seed)) for seed in (3, 3, 4))
  assert first == again
  # Sentences of the tiny corpus have one salient span each.
  assert (first == other) == (name in ("salient", "related"))


def test_random_spans_are_spans_of_all_widths_at_all_places(corpus):
  drawn = list(_drawn(corpus, "random_span", steps=100))
  assert all(positions == list(range(positions[0], positions[-1] + 1))
             for *_, positions in drawn)
  assert {len(positions) for *_, positions in drawn} == {1, 2, 3, 4}
  starts = {positions[0] - start for start, end, positions in drawn}
  assert starts >= set(range(6))


def test_random_tokens_are_a_share_of_the_sentence_at_all_places(corpus):
  drawn = list(_drawn(corpus, "random_token", steps=100))
  for start, end, positions in drawn:
    assert len(positions) == np.clip(round(0.15 * (end - start)), 1, 4)
  start, end, _ = drawn[0]
  assert {p - a for a, b, positions in drawn for p in positions
          if (a, b) == (start, end)} == set(range(end - start))


@pytest.mark.parametrize("name", list(MASKERS))
@pytest.mark.parametrize("query_length", [10, 64])
def test_a_batch_has_the_masked_tokens_as_labels_at_their_positions(
    corpus, name, query_length):
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  for batch in pretraining_batches(
      corpus, banned, batch_size=4, query_length=query_length, max_masks=4, support=(1, 0),
      seed=0, first_step=0, last_step=5, masker=name):
    for i, row in enumerate(batch.row.numpy()):
      count = int(batch.weights[i].numpy().sum())
      assert count and (batch.weights[i].numpy()[:count] == 1).all()
      ids = batch.query.ids[i].numpy()[batch.query.padding_mask[i].numpy()]
      places = batch.positions[i].numpy()[:count]
      assert (ids[places] == corpus.tokenizer.mask_id).all()
      assert np.count_nonzero(ids == corpus.tokenizer.mask_id) == count
      ids[places] = batch.labels[i].numpy()[:count]
      body = " ".join(map(str, corpus.body_ids.row(row)))
      assert " ".join(map(str, ids[1:-1])) in body


def test_a_masker_of_ones_own_is_one_class_and_one_name(corpus):
  class FirstToken(RandomTokens):
    """Masks the first token of each sentence."""

    def mask(self, step, chosen):
      row, start, _ = at(self.table, chosen)
      return Masked(tf.RaggedTensor.from_tensor(start[:, None]), row)

  MASKERS.register("first_token", FirstToken)
  try:
    banned = np.zeros([corpus.num_blocks, 0], np.int32)
    batch = next(iter(pretraining_batches(
        corpus, banned, batch_size=4, query_length=64, max_masks=4, support=(1, 0), seed=0,
        first_step=0, last_step=1, masker="first_token")))
    np.testing.assert_array_equal(batch.positions, np.ones([4, 1]))
  finally:
    MASKERS._values.pop("first_token")  # pylint: disable=protected-access


def test_a_name_is_given_once():
  registry = Registry("thing", {"path": "pathlib:Path"})
  assert registry["path"].__name__ == "Path" and "path" in registry
  registry.register("two", 2)
  with pytest.raises(ValueError, match="there is a thing named 'two' already"):
    registry.register("two", 3)
  assert list(registry) == ["path", "two"]
