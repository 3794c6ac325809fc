"""Which blocks are related to a sentence, against plain loops over the same text."""

import numpy as np
import pytest

from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.examples import related_blocks
from realm_tf.examples.related_blocks import related_sentences
from realm_tf.examples.salient_sentences import salient_sentences
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_DOCUMENTS = [
    Document("0", "Tower", "The great old tower of Paris is by the river in Rome. Many "
             "people live there and in Oslo by the river."),
    Document("1", "Tower", "The capital of Italy is Rome and it is old and great there."),
    Document("2", "", "There is Paris by the river and there is Rome. Paris is great and "
             "Paris is old and by the river."),
    Document("3", "", "The cat of Oslo sat there and was great by the river."),
    Document("4", "", "The dog of Oslo is old. Many people live in Madrid by the river."),
    Document("5", "", "The old Paris and what is there is great.")]


def _spans(corpus, row):
  body = corpus.body_ids.row(row)
  return [(start, end, tuple(body[start:end])) for start, end in zip(
      corpus.span_starts.row(row), corpus.span_ends.row(row))]


def _article(corpus, row):
  return corpus.titles[row] or corpus.document_ids[row]


def _related(corpus, knowledge, row, spans, pieces):
  """The blocks that hold a span of a sentence and are about the same thing, by loops."""
  found = set()
  for other in range(knowledge.num_blocks):
    there = {span for *_, span in _spans(knowledge, other)}
    same = knowledge is corpus and _article(corpus, row) == _article(corpus, other)
    both = any(span in there for *_, span in spans if span != pieces)
    if pieces in there and (same or both) and (knowledge is not corpus or other != row):
      found.add(other)
  return found


def _expected(corpus, knowledge):
  """(block, start of the sentence) -> {span: blocks}."""
  salient, expected = salient_sentences(corpus, 8, (1, 0)), {}
  for row, start, end in zip(*salient[:3]):
    spans = [span for span in _spans(corpus, row) if start <= span[0] and span[1] <= end]
    by_span = {span[:2]: _related(corpus, knowledge, row, spans, span[2]) for span in spans}
    if any(by_span.values()):
      expected[row, start] = {span: blocks for span, blocks in by_span.items() if blocks}
  return expected


def _found(corpus):
  sentences, found = related_sentences(corpus, 8, (1, 0)), {}
  support = sentences.support
  for i, (row, start) in enumerate(zip(sentences.row, sentences.start)):
    spans = slice(sentences.span_splits[i], sentences.span_splits[i + 1])
    found[row, start] = {
        (sentences.span_start[j], sentences.span_end[j]): set(
            support.rows[support.first[j]:support.first[j] + support.blocks[j]])
        for j in range(spans.start, spans.stop)}
  return found


def _corpus(documents):
  return Corpus.from_documents(documents, Tokenizer(tiny.vocabulary()), 64)


@pytest.mark.parametrize("together, pairs", [(1, 1000), (2, 1000), (1000, 1000), (1000, 6),
                                             (1000, 1)])
def test_they_hold_a_second_span_or_are_of_the_same_article(monkeypatch, together, pairs):
  monkeypatch.setattr(related_blocks, "_SENTENCES", together)
  monkeypatch.setattr(related_blocks, "_PAIRS", pairs)
  corpus = _corpus(_DOCUMENTS)
  expected = _expected(corpus, corpus)
  assert _found(corpus) == expected
  held = [blocks for spans in expected.values() for blocks in spans.values()]
  assert {1, 2} in held and {0} in held  # by two spans, and by the article alone


def test_a_corpus_without_any_has_no_sentence():
  sentences = related_sentences(_corpus(_DOCUMENTS[3:5]), 8, (1, 0))
  assert not len(sentences.row) and list(sentences.span_splits) == [0]


def test_what_is_drawn_for_a_span_is_one_of_its_blocks_and_each_is_drawn():
  support = related_sentences(_corpus(_DOCUMENTS), 8, (1, 0)).support
  for span, (first, count) in enumerate(zip(support.first, support.blocks)):
    drawn = {int(support.another(np.array([span]), np.array([share], np.float32))[0])
             for share in np.linspace(0, 0.999, 20)}
    assert drawn == set(support.rows[first:first + count])


def test_they_are_kept_beside_a_store(tmp_path):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  first = related_sentences(corpus, 8, (1, 0))
  kept = list((tmp_path / "corpus.derived").glob("related_blocks-*"))
  assert len(kept) == 1
  again = related_sentences(corpus, 8, (1, 0))
  for one, two in zip(first[:-1] + first.support, again[:-1] + again.support):
    np.testing.assert_array_equal(one, two)
