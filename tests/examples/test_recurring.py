"""Recurring spans, and what is made of them, against plain loops over the same text."""

import types

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.config import ICTConfig
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.errors import UserError
from realm_tf.examples import recurring as recurring_module
from realm_tf.examples import salient_support
from realm_tf.examples.recurring import Windows, articles, recurring_spans
from realm_tf.examples.spider import recurring_span_batches
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

# Articles of several blocks: one document, or one title; and some of a block each.
_DOCUMENTS = [
    Document("long", "Tower", "The great old tower of Paris is by the river. It is in "
             "Berlin. Many people live by Ona and Paris. The old tower is great, and so is "
             "Rome. There is Paris and there is Madrid."),
    Document("1", "Rome", "The capital of Italy is Rome. It is old and great by the river."),
    Document("2", "Rome", "There is the river. Many people live in Italy and by Ona there."),
    Document("3", "", "The old Paris and what is there. The cat of Oslo sat on it."),
    Document("4", "", "The dog of Oslo is old. Many people live in Rome by the river there."),
    *tiny.documents()[1:7]]


@pytest.fixture(name="corpus", scope="module")
def _corpus():
  corpus = Corpus.from_documents(_DOCUMENTS, Tokenizer(tiny.vocabulary()), 24)
  assert corpus.document_ids.count("long") > 2
  return corpus


def _spans(corpus):
  """(block, start, end, pieces) of each salient span."""
  return [(row, start, end, tuple(corpus.body_ids.row(row)[start:end]))
          for row in range(corpus.num_blocks)
          for start, end in zip(corpus.span_starts.row(row), corpus.span_ends.row(row))]


def _article(corpus, row):
  return corpus.titles[row] or corpus.document_ids[row]


def _others(corpus, row, pieces, readable):
  """Other blocks with the span: of the same article if there are any, else all."""
  holding = {other for other, _, end, other_pieces in _spans(corpus)
             if other_pieces == pieces and end <= readable} - {row}
  same_article = {other for other in holding
                  if _article(corpus, other) == _article(corpus, row)}
  return same_article or holding


def test_articles_are_titles_and_where_there_is_none_documents(corpus):
  rows, place, first, end = articles(corpus)
  for row in range(corpus.num_blocks):
    assert rows[place[row]] == row
    assert sorted(rows[first[row]:end[row]]) == [
        other for other in range(corpus.num_blocks)
        if _article(corpus, other) == _article(corpus, row)]


def test_articles_are_in_the_order_of_whole_titles():
  titles = [b"", b"a", b"a\0", b"List of cats", b"List of dogs", b"abcdefgh", b"abcdefghi",
            "\u00c4rger \u00fcber".encode(), b"abcdefgh\0", b"\xff\xff"]
  rng = np.random.default_rng(0)
  for blocks in [1, *rng.integers(2, 60, 30)]:
    corpus = types.SimpleNamespace(
        num_blocks=blocks, titles=[titles[i] for i in rng.integers(len(titles), size=blocks)],
        document_ids=[f"d{i}" for i in rng.integers(5, size=blocks)])
    whole = [title or b"\0" + name.encode() for title, name in zip(
        corpus.titles, corpus.document_ids)]
    right = sorted(range(blocks), key=lambda row: (whole[row], row))
    made = recurring_module._articles(corpus)
    assert made.rows.tolist() == right
    for row in range(blocks):
      same = [other for other in right if whole[other] == whole[row]]
      assert right[made.place[row]] == row
      assert right[made.first[row]:made.end[row]] == same


def test_articles_are_put_together_once_for_all_parts(corpus, monkeypatch):
  """Where nothing is kept, as in memory or on a full disk, each time takes a sort of all."""
  calls = []
  monkeypatch.setattr(salient_support, "_ROWS", 2)
  monkeypatch.setattr(recurring_module, "_articles", lambda corpus, made=(
      recurring_module._articles): calls.append(1) or made(corpus))
  assert len(recurring_spans(corpus, (2, 0)).row)
  assert len(calls) == 2  # for the spans, and for the blocks that hold them


@pytest.mark.parametrize("blocks", [(2, 0), (3, 4), (0, 2)])
@pytest.mark.parametrize("readable", [None, 6])
@pytest.mark.parametrize("together", [2, 1 << 14])
def test_spans_and_their_other_blocks_are_those_of_plain_loops(
    corpus, blocks, readable, together, monkeypatch):
  monkeypatch.setattr(salient_support, "_ROWS", together)
  monkeypatch.setattr(recurring_module, "_IN_BUCKET", together)
  recurring = recurring_spans(corpus, blocks, readable)
  expected = {}
  for row, start, end, pieces in _spans(corpus):
    others = _others(corpus, row, pieces, readable or 99)
    if others and blocks[0] <= len(others) + 1 <= (blocks[1] or 99):
      expected[row, start, end] = others
  assert len(expected) > 2
  assert list(zip(recurring.row, recurring.start, recurring.end)) == list(expected)
  chosen = tf.range(len(recurring.row))
  drawn = [recurring.support._replace(**{
      name: tf.constant(field, tf.int32)
      for name, field in recurring.support._asdict().items()})
      .another(chosen, tf.fill([len(chosen)], (i + 0.5) / 40)).numpy() for i in range(40)]
  assert [set(column) for column in np.stack(drawn, 1)] == list(expected.values())
  names = {}
  for row, start, end, name in zip(*recurring[:4]):
    pieces = tuple(corpus.body_ids.row(row)[start:end])
    assert names.setdefault(name, pieces) == pieces
  assert len(set(names.values())) == len(names)


def test_windows_are_of_words_around_the_span():
  corpus = Corpus.from_documents(["unknown words are spelt out, wholly, by letters as here"],
                                 Tokenizer(tiny.vocabulary()), 99)
  pieces = corpus.body_ids.row(0)
  begins = [*np.flatnonzero(~corpus.tokenizer.continuation[pieces]), len(pieces)]
  assert len(begins) < len(pieces) / 2
  windows, drawn_windows = Windows(corpus.tokenizer), set()
  low, start, end, high = (begins[place] for place in (1, 4, 6, 9))
  for length in (1, 8, 20, 99):
    for drawn in np.linspace(0, 0.999, 20):
      arguments = (tf.constant([value]) for value in (low, high, start, end, length))
      first, last = (int(side[0]) for side in windows.draw(
          tf.RaggedTensor.from_tensor([pieces]), *arguments,
          tf.constant([drawn], tf.float32)))
      assert low <= first <= start and end <= last <= high
      assert first in begins and last in begins
      assert last - first < max(length, end - start) + 9  # the longest word
      drawn_windows.add((length, first, last))
  assert {(1, start, end), (99, low, high)} <= drawn_windows
  assert len({first for length, first, _ in drawn_windows if length == 20}) > 1


def _batches(corpus, first_step=0, last_step=30, batch_size=4, **settings):
  return list(recurring_span_batches(
      corpus, batch_size=batch_size, query_length=64, document_length=96, seed=1,
      first_step=first_step, last_step=last_step, settings=ICTConfig(**settings)))


def _rows(packed):
  """The pieces of each row, its special tokens and padding left out."""
  return [tuple(row[mask][1:-1]) for row, mask in
          zip(packed.ids.numpy(), packed.padding_mask.numpy())]


def _holds(corpus, row, pieces):
  return any(other == row and other_pieces == pieces
             for other, _, _, other_pieces in _spans(corpus))


def _sources(corpus, query, document, removed):
  """The spans of which this query may be made for this document: (block, pieces)."""
  for row, start, end, pieces in _spans(corpus):
    body = tuple(corpus.body_ids.row(row))
    for first in range(start + 1):
      last = first + len(query) + removed * (end - start)
      text = (body[first:start] + body[end:last] if removed else body[first:last])
      if (text == query and end <= last <= len(body)
          and document in _others(corpus, row, pieces, 99)):
        yield row, pieces


@pytest.mark.parametrize("removed", [False, True])
def test_a_query_is_a_window_around_a_span_that_its_document_holds(corpus, removed):
  lengths, same = [], 0
  for batch in _batches(corpus, span_removal_rate=float(removed), query_window=(3, 9)):
    documents, negatives = _rows(batch.documents), _rows(batch.negatives)
    for query, row, document, other, negative in zip(
        _rows(batch.queries), batch.rows.numpy(), documents, batch.negative_rows.numpy(),
        negatives):
      sources = list(_sources(corpus, query, row, removed))
      assert sources, query
      for packed, place in ((document, row), (negative, other)):
        assert packed == (*corpus.title_ids.row(place), corpus.tokenizer.sep_id,
                          *corpus.body_ids.row(place))
      lengths.append(len(query))
      same += any(_article(corpus, source) == _article(corpus, other)
                  and not _holds(corpus, other, pieces) for source, pieces in sources)
      assert any(source != other for source, _ in sources)
  assert min(lengths) >= (1 if removed else 3) and max(lengths) < 9 + 8
  assert len(set(lengths)) > 5
  # Of the 120 queries most are of articles with several blocks, one without the span.
  assert same > 40


def test_how_often_the_span_is_removed(corpus):
  is_kept = [bool(list(_sources(corpus, query, row, False)))
             for batch in _batches(corpus, query_window=(6, 9), batch_size=8)
             for query, row in zip(_rows(batch.queries), batch.rows.numpy())]
  assert 0.4 < np.mean(is_kept) < 0.6  # of 240 draws at 0.5


def test_batches_are_a_function_of_the_step_and_can_do_without_negatives(corpus):
  complete = _batches(corpus, last_step=6)
  resumed = _batches(corpus, first_step=4, last_step=6)
  assert len(resumed) == 2
  for actual, expected in zip(tf.nest.flatten(resumed), tf.nest.flatten(complete[4:])):
    np.testing.assert_array_equal(actual, expected)
  without = _batches(corpus, last_step=6, hard_negatives=False)
  for actual, expected in zip(without, complete):
    assert actual.negatives == () and actual.all_documents is actual.documents
    np.testing.assert_array_equal(actual.queries.ids, expected.queries.ids)


def test_documents_of_one_block_have_no_negatives_of_their_own(tmp_path):
  batches = _batches(tiny.make_corpus(tmp_path / "corpus"))
  assert all(batch.negatives == () for batch in batches)
  documents = {bytes(row) for batch in batches for row in batch.rows.numpy()[:, None]}
  assert len(documents) > 10


def test_a_corpus_without_recurring_spans_is_refused():
  corpus = Corpus.from_documents(["what is Paris", "what is Rome"],
                                 Tokenizer(tiny.vocabulary()), 64)
  with pytest.raises(UserError, match="no salient span recurs .*span_blocks=.2, 20."):
    _batches(corpus)
