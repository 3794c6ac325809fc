"""Cloze questions against the sentences that they were made of, by plain loops."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.examples import salient_support
from realm_tf.examples.askable_spans import Kind
from realm_tf.examples.cloze_questions import cloze_batches, find_clozes
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

# Of one word and of three, at the beginning, in the middle and at the end of its block.
_TEXTS = [
    "Many people live in Ona and it is by the river. The old tower is great.",
    "The old tower of Ona Great Bona is great and old. It is by the river there.",
    "There is a tower, which is old and great. What was by the river there was Ona.",
    "The cat sat on the great old mat by the river, in Ona Great Bona.",
    "The dog is there, and many people live by the old river of Ona Great Bona.",
    "It is in Rome. It is in Rome. It is in Rome.", "Rome is great."]


@pytest.fixture(name="corpus", scope="module")
def _corpus():
  return Corpus.from_documents(_TEXTS, Tokenizer(tiny.vocabulary()), 64)


def _config(folder, **changes):
  tiny.write_bert(folder / "bert", hidden=16, layers=1)
  return tiny.make_config(folder, write=False, **{
      "cloze__steps": 12, "encoder__max_span_width": 16, **changes})


def _salient(corpus):
  return [(row, start, end, tuple(corpus.body_ids.row(row)[start:end]))
          for row in range(corpus.num_blocks)
          for start, end in zip(corpus.span_starts.row(row), corpus.span_ends.row(row))]


def _stands(corpus, pieces, most):
  """Where pieces stand as whole words that end among the first `most` of their block."""
  goes_on = corpus.tokenizer.continuation
  for row in range(corpus.num_blocks):
    body = corpus.body_ids.row(row)
    for start in range(min(len(body), most) - len(pieces) + 1):
      end = start + len(pieces)
      if (tuple(body[start:end]) == pieces and not goes_on[body[start]]
          and (end == len(body) or not goes_on[body[end]])):
        yield row, start, end - 1


def _asked(corpus, question, row):
  """The span for which the mask of a question of this block can stand, and its sentence."""
  mask = question.index(corpus.tokenizer.mask_id)
  body = corpus.body_ids.row(row).tolist()
  starts = [*corpus.sentence_starts.row(row), len(body)]
  for other, start, end, pieces in _salient(corpus):
    if other == row and body[start - mask:start] == question[:mask]:
      last = end + len(question) - mask - 1
      sentence = max(place for place in starts if place <= start)
      if (body[end:last] == question[mask + 1:] and start - mask >= sentence
          and last <= starts[starts.index(sentence) + 1]):
        yield pieces


@pytest.mark.parametrize("words, length, reader", [(6, 32, 0), (1, 12, 26)])
def test_the_mask_stands_for_a_span_that_the_support_holds(
    corpus, tmp_path, words, length, reader):
  config = _config(tmp_path, cloze__max_words=words, cloze__question_length=length,
                   cloze__reader_length=reader)
  room = (reader or 96) - 3 - length  # is left to a block
  clozes = find_clozes(config, corpus)
  masked_spans, lengths = set(), set()
  for batch in cloze_batches(config, corpus, clozes, 0):
    for name, question, row, support in zip(
        batch.name.numpy(), batch.question.to_list(), batch.row.numpy(),
        batch.support.numpy()):
      lengths.add(len(question))
      pieces, = set(_asked(corpus, question, row))
      places = set(_stands(corpus, pieces, room))
      assert support != row and support in {place[0] for place in places}
      masked_spans.add(pieces)
      rows = tf.constant([np.arange(corpus.num_blocks)], tf.int32)
      spans = clozes.places.spans(tf.constant([name]), rows, 3)
      starts, ends = spans.starts[0].numpy(), spans.ends[0].numpy()
      assert {(place, starts[place, i], ends[place, i])
              for place, i in np.argwhere(starts >= 0)} == places
  ona, *_ = corpus.tokenizer.tokenize(["Ona", "Ona Great Bona"]).to_list()
  assert tuple(ona) in masked_spans
  assert {len(pieces) > len(ona) for pieces in masked_spans} == (
      {False} if words == 1 else {False, True})
  # A window begins with a word, and so may be somewhat longer.
  assert max(lengths) <= length + 4 and (reader or len(lengths) > 2)


@pytest.mark.parametrize("words, length, reader", [(6, 32, 0), (1, 12, 26)])
def test_questions_are_about_the_block_that_they_are_from(
    corpus, tmp_path, words, length, reader):
  config = _config(tmp_path, cloze__max_words=words, cloze__question_length=length,
                   cloze__reader_length=reader, cloze__form="question")
  room = (reader or 96) - 3 - length
  clozes = find_clozes(config, corpus)
  asked, kinds = set(), set(clozes.kind.tolist())
  for batch in cloze_batches(config, corpus, clozes, 0):
    np.testing.assert_array_equal(batch.row, batch.support)
    for name, question, row in zip(batch.name.numpy(), batch.question.to_list(),
                                   batch.row.numpy()):
      rows = tf.constant([np.arange(corpus.num_blocks)], tf.int32)
      spans = clozes.places.spans(tf.constant([name]), rows, 3)
      starts, ends = spans.starts[0].numpy(), spans.ends[0].numpy()
      places = {(int(place), int(starts[place, i]), int(ends[place, i]))
                for place, i in np.argwhere(starts >= 0)}
      own = min(place for place in places if place[0] == row)
      pieces = tuple(corpus.body_ids.row(row)[own[1]:own[2] + 1].tolist())
      assert places == set(_stands(corpus, pieces, room))
      asked.add((int(row), pieces))
      assert corpus.tokenizer.mask_id not in question
      # Its words are of the sentence: all but those that ask.
      body = set(corpus.body_ids.row(row).tolist())
      assert sum(piece in body for piece in question) >= 1
  salient = {(row, pieces) for row, _, _, pieces in _salient(corpus)}
  assert asked & salient and asked - salient and kinds == {Kind.NAME, Kind.PHRASE}
  assert len({row for row, _ in asked}) >= (1 if words == 1 else 5)


@pytest.mark.parametrize("form", ["sentence", "question"])
def test_no_more_questions_are_prepared_than_are_asked(corpus, tmp_path, form):
  rows = [find_clozes(_config(tmp_path, cloze__steps=steps, cloze__batch_size=2,
                              cloze__form=form), corpus).spans.row
          for steps in (1, 2, 1000)]
  assert [len(some) for some in rows[:2]] == [2, 4] and len(rows[2]) > 4
  assert list(rows[1]) == sorted(rows[1]) != list(rows[2][:4])  # drawn, not the first ones


@pytest.mark.parametrize("form", ["sentence", "question"])
def test_what_is_asked_does_not_depend_on_how_many_blocks_are_looked_at(
    corpus, tmp_path, form, monkeypatch):
  config = _config(tmp_path, cloze__form=form)
  expected = find_clozes(config, corpus)
  monkeypatch.setattr(salient_support, "_ROWS", 2)
  for one, other in zip(tf.nest.flatten(find_clozes(config, corpus)),
                        tf.nest.flatten(expected)):
    np.testing.assert_array_equal(one, other)


def test_of_phrases_there_are_fewer_than_of_names(corpus, tmp_path):
  kinds = find_clozes(_config(tmp_path, cloze__steps=1000, cloze__form="question"),
                      corpus).kind
  counts = np.bincount(kinds, minlength=len(Kind))
  assert 0 < counts[Kind.PHRASE] <= -(-counts[:Kind.PHRASE].sum() // 3)


def test_of_short_sentences_nothing_is_asked(corpus, tmp_path):
  rows = find_clozes(_config(tmp_path), corpus).spans.row
  assert set(rows) == {0, 1, 2, 3, 4}  # not of those of Rome


@pytest.mark.parametrize("form", ["sentence", "question"])
def test_batches_are_a_function_of_the_step(corpus, tmp_path, form):
  config = _config(tmp_path, cloze__form=form)
  clozes = find_clozes(config, corpus)
  complete = list(cloze_batches(config, corpus, clozes, 0))
  resumed = list(cloze_batches(config, corpus, clozes, 9))
  assert len(complete) == 12 and len(resumed) == 3
  for actual, expected in zip(resumed, complete[9:]):
    assert actual.question.to_list() == expected.question.to_list()
    np.testing.assert_array_equal(actual.name, expected.name)
    np.testing.assert_array_equal(actual.support, expected.support)


@pytest.mark.parametrize("changes", [
    {"cloze__max_words": 1, "cloze__span_blocks": (6, 0)}, {"encoder__max_span_width": 1}])
def test_nothing_to_ask_for_is_refused(corpus, tmp_path, changes):
  with pytest.raises(UserError, match="no salient span of the corpus can be asked for"):
    find_clozes(_config(tmp_path, **changes), corpus)


def test_a_corpus_of_short_sentences_has_no_questions(tmp_path):
  short = Corpus.from_documents(["It is in Rome. It is old."],
                                Tokenizer(tiny.vocabulary()), 64)
  with pytest.raises(UserError, match="nothing in the corpus can be asked for"):
    find_clozes(_config(tmp_path, cloze__form="question"), short)
