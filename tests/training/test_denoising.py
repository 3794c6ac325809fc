"""Mined negatives that a reader takes for answers."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import config as config_lib
from realm_tf.config.owners import used
from realm_tf.corpus.passages import Passages
from realm_tf.examples.mined import Mined, without
from realm_tf.training import denoising, mining
from realm_tf.training.denoising import Denoiser
from tests import tiny
from tests.training import stages


class _Reader:
  """Gives a span ln 8 for each time that a word is in the passage, and others nothing."""
  max_length = 96

  def __init__(self, tokenizer, word):
    self._id, = tokenizer.tokenize([word]).flat_values.numpy()

  def span_logits(self, packed):
    is_word = (packed.ids == self._id) & (packed.segments == 1)
    best = np.log(8.0) * tf.reduce_sum(tf.cast(is_word, tf.float32), 1, keepdims=True)
    logits = tf.where(is_word, best, 0.0)[:, :, None]
    outside = ~packed.padding_mask | (packed.segments == 0)
    return tf.where(outside[:, :, None], -np.inf, tf.concat([logits, logits - 1], 2))


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory):
  return tiny.make_corpus(tmp_path_factory.mktemp("denoising") / "corpus")


def _row(corpus, name):
  return list(corpus.document_ids).index(name)


def _denoised(corpus, mined, threshold, word="France", questions=None):
  reader = _Reader(corpus.tokenizer, word)
  return Denoiser(reader, Passages(corpus), threshold)(
      questions or ["what is it"] * len(mined.positives), mined)


@pytest.fixture(name="mined")
def _mined(corpus):
  """Of three questions; "France" stands once in the block of Paris, twice in that of France,
  in no other."""
  paris, france, rome, oslo = (_row(corpus, name) for name in (
      "city-Paris", "country-France", "city-Rome", "city-Oslo"))
  return Mined(np.array([rome, -1, france], np.int32), np.array([
      [oslo, france, paris, -1], [france, paris, oslo, rome], [paris, oslo, -1, -1]],
      np.int32))


def test_what_the_reader_takes_for_an_answer_is_no_negative(corpus, mined):
  """Among one block of weight 64, one of 8 and the others of 1 each."""
  paris, oslo, france = (_row(corpus, name) for name in (
      "city-Paris", "city-Oslo", "country-France"))
  left = _denoised(corpus, mined, 0.5)
  assert left.mined.negatives[0].tolist() == [oslo, paris, -1, -1]
  assert (left.removed, left.read) == (1, 5)
  # Of 74: 8 are 0.108; and beside France as the positive, of 73: 0.110.
  left = _denoised(corpus, mined, 0.109)
  assert left.mined.negatives[0].tolist() == [oslo, paris, -1, -1]
  assert left.mined.negatives[2].tolist() == [oslo, -1, -1, -1]
  left = _denoised(corpus, mined, 0.1)
  assert left.mined.negatives[0].tolist() == [oslo, -1, -1, -1]
  assert (left.removed, left.read) == (3, 5) and france not in left.mined.negatives[0]
  assert (left.mined.positives == mined.positives).all()


def test_a_question_without_a_positive_stays_as_it_is(corpus, mined):
  left = _denoised(corpus, mined, 0.01)
  assert (left.mined.negatives[1] == mined.negatives[1]).all()
  nothing = mined._replace(positives=np.full([3], -1, np.int32))
  left = _denoised(corpus, nothing, 0.01)
  assert (left.mined.negatives == mined.negatives).all() and not left.removed + left.read


def test_all_may_be_taken_out_and_none(corpus, mined):
  left = _denoised(corpus, mined, 0.001)
  assert (left.mined.negatives[[0, 2]] == -1).all() and left.removed == 5
  assert (_denoised(corpus, mined, 1.0).mined.negatives == mined.negatives).all()


def test_batches_give_what_all_at_once_do(corpus, mined, monkeypatch):
  whole = _denoised(corpus, mined, 0.1)
  monkeypatch.setattr(denoising, "_PAIRS", 1)
  np.testing.assert_array_equal(_denoised(corpus, mined, 0.1).mined.negatives,
                                whole.mined.negatives)


def test_negatives_move_up_in_their_order():
  left = without(np.array([[4, 7, 5, -1], [1, 2, 3, 4]]),
                 np.array([[True, False, False, False], [False, True, False, True]]))
  assert left.tolist() == [[7, 5, -1, -1], [1, 3, -1, -1]]


def test_dpr_mines_without_what_its_reader_takes_for_answers(tmp_path, monkeypatch, caplog):
  """Each time that it mines. The tables are those of a run without, less what is removed."""
  corpus, calls = tiny.make_corpus(tmp_path / "corpus"), []

  def posteriors(denoiser, questions, blocks):
    del denoiser, questions
    calls.append(blocks)
    assert (blocks[:, 0] >= 0).all()
    return np.where(blocks % 2 == 0, 0.3, 0.2)

  monkeypatch.setattr(Denoiser, "_posteriors", posteriors)
  changes = {"dpr__steps": 6, "dpr__mine_every": 4, "dpr__negative_ranks": (0, 12)}
  tables = {}
  with caplog.at_level("INFO", logger="absl"):
    for threshold in (0.0, 0.25):
      calls.clear()
      place = tmp_path / str(threshold)
      stages.train("dpr", place, corpus, tiny.make_config(
          tmp_path, dpr__denoise=threshold, **changes))
      tables[threshold] = dict(np.load(place / "mined" / "step-0.npz"))
      assert bool(calls) == (threshold > 0)
      assert (place / "mined" / "step-4.npz").exists()
  raw, left = (tables[threshold]["negatives"] for threshold in (0.0, 0.25))
  np.testing.assert_array_equal(left, without(raw, raw % 2 == 0))
  said = [message for message in caplog.messages if "are no negatives" in message]
  even = int(((raw >= 0) & (raw % 2 == 0)).sum())
  assert len(said) == 2 and said[0] == (
      f"dpr: step 0: {even} of {(raw >= 0).sum()} mined blocks are no negatives: the reader "
      "finds an answer there (dpr.denoise=0.25)")


def test_without_it_no_reader_is_made(tmp_path, monkeypatch):
  def refuse(*arguments):
    raise AssertionError("a denoiser")

  monkeypatch.setattr(mining, "Denoiser", refuse)
  monkeypatch.setattr("realm_tf.training.dpr.Denoiser", refuse)
  corpus = tiny.make_corpus(tmp_path / "corpus")
  stages.train("dpr", tmp_path / "dpr", corpus, tiny.make_config(tmp_path, dpr__steps=1))


def test_dpr_is_made_of_the_readers_length_only_where_it_reads():
  tree = config_lib.to_dict(config_lib.RealmConfig())
  assert "finetune.reader_length" not in used(tree, "dpr")
  config_lib.set_field(tree, "dpr.denoise", 0.5)
  assert used(tree, "dpr")["finetune.reader_length"] == 320
