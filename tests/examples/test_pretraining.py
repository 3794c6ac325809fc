"""Pre-training examples against the text that they were masked in."""

import numpy as np
import pytest

from realm_tf.examples.pretraining import pretraining_batches
from realm_tf.examples.salient_sentences import num_without_spans, salient_sentences
from tests import tiny


@pytest.fixture(name="corpus", scope="module")
def _corpus(tmp_path_factory):
  return tiny.make_corpus(tmp_path_factory.mktemp("pretraining") / "corpus")


def _batches(corpus, query_length=64, first=0, last=10, **settings):
  banned = np.arange(corpus.num_blocks, dtype=np.int32)[:, None]
  return list(pretraining_batches(
      corpus, banned, batch_size=6, query_length=query_length, max_masks=4,
      support=(1, 0), seed=5,
      first_step=first, last_step=last, **settings))


def _naive_sentences(corpus, max_masks):
  """(row, start, end) -> spans, by plain loops over the store."""
  spans_of = {}
  for row in range(corpus.num_blocks):
    edges = [*corpus.sentence_starts.row(row), len(corpus.body_ids.row(row))]
    spans = list(zip(corpus.span_starts.row(row), corpus.span_ends.row(row)))
    for start, end in zip(edges, edges[1:]):
      inside = [(a, b) for a, b in spans if start <= a and b <= end and b - a <= max_masks]
      if inside and end - start >= 8:
        spans_of[row, start, end] = inside
  return spans_of


def test_sentences_and_spans_equal_a_plain_loop(corpus):
  sentences = salient_sentences(corpus, 4)
  spans_of = {(r, a, b): list(zip(sentences.span_start[i:j], sentences.span_end[i:j]))
              for r, a, b, i, j in zip(sentences.row, sentences.start, sentences.end,
                                       sentences.span_splits, sentences.span_splits[1:])}
  assert spans_of == _naive_sentences(corpus, 4) and len(spans_of) > 10


def test_sentences_without_a_span_are_counted(corpus):
  spans_of, count = _naive_sentences(corpus, 1000), 0
  for row in range(corpus.num_blocks):
    edges = [*corpus.sentence_starts.row(row), len(corpus.body_ids.row(row))]
    spans = corpus.span_starts.row(row)
    count += sum(not any(start <= span < end for span in spans)
                 for start, end in zip(edges, edges[1:]))
  assert num_without_spans(corpus) == count and 5 < count
  assert count + len(spans_of) <= len(corpus.sentence_starts.values)


@pytest.mark.parametrize("support", [(2, 0), (1, 1)])
def test_supported_spans_equal_a_plain_loop(corpus, support):
  fewest, most = support[0], support[1] or corpus.num_blocks
  spans = {}
  for row in range(corpus.num_blocks):
    body = corpus.body_ids.row(row).tolist()
    for a, b in zip(corpus.span_starts.row(row), corpus.span_ends.row(row)):
      spans.setdefault(tuple(body[a:b]), set()).add(row)
  expected = []
  for (row, *_), inside in _naive_sentences(corpus, 4).items():
    body = corpus.body_ids.row(row).tolist()
    expected += [(row, a, b) for a, b in inside 
                 if fewest <= len(spans[tuple(body[a:b])]) <= most]
  sentences = salient_sentences(corpus, 4, support)
  rows = np.repeat(sentences.row, np.diff(sentences.span_splits))
  assert list(zip(rows, sentences.span_start, sentences.span_end)) == expected
  assert 0 < len(expected) < sum(map(len, _naive_sentences(corpus, 4).values()))


def test_support_is_another_block_with_the_same_span(corpus):
  supports = set()
  for batch in pretraining_batches(
      corpus, np.zeros([corpus.num_blocks, 0], np.int32), batch_size=6, query_length=64,
      max_masks=4, support=(2, 0), seed=5, first_step=0, last_step=20):
    for i, (row, support) in enumerate(zip(batch.row.numpy(), batch.support.numpy())):
      span = batch.labels[i].numpy()[batch.weights[i].numpy() > 0].tolist()
      assert support != row and _contains(corpus.body_ids.row(support).tolist(), span)
      supports.add((row, support))
  assert len(supports) > 10


@pytest.mark.parametrize("query_length", [64, 10])
def test_one_whole_salient_span_is_masked_and_nothing_else(corpus, query_length):
  mask_id, naive = corpus.tokenizer.mask_id, _naive_sentences(corpus, 4)
  for batch in _batches(corpus, query_length):
    assert batch.query.ids.shape[1] <= query_length
    for i, row in enumerate(batch.row.numpy()):
      ids = batch.query.ids[i].numpy()[:batch.query.padding_mask[i].numpy().sum()]
      real = batch.weights[i].numpy() > 0
      positions, labels = batch.positions[i].numpy()[real], batch.labels[i].numpy()[real]
      assert np.flatnonzero(ids == mask_id).tolist() == positions.tolist()
      text = ids.copy()
      text[positions] = labels
      text, span = text[1:-1].tolist(), labels.tolist()
      body = corpus.body_ids.row(row).tolist()
      assert any(
          body[a:b] == span and _contains(body[start:end], text)
          for (r, start, end), spans in naive.items() if r == row for a, b in spans)


def _contains(whole, part):
  return any(whole[i:i + len(part)] == part for i in range(len(whole) - len(part) + 1))


@pytest.mark.parametrize("masker", ["salient", "random_token"])
def test_the_query_tower_may_see_a_question_while_the_encoder_reads_the_sentence(
    corpus, masker):
  special, asking = corpus.tokenizer.special_ids, set(corpus.tokenizer.tokenize(
      ["who what which where when in what year how many much long ?"]).to_list()[0])
  for plain, asked in zip(_batches(corpus, masker=masker),
                          _batches(corpus, masker=masker, query="question")):
    np.testing.assert_array_equal(plain.query.ids, plain.sentence.ids)
    np.testing.assert_array_equal(asked.sentence.ids, plain.sentence.ids)
    np.testing.assert_array_equal(asked.positions, plain.positions)
    np.testing.assert_array_equal(asked.labels, plain.labels)
    for i, first in enumerate(asked.positions[:, 0].numpy()):
      sentence = asked.sentence.ids[i].numpy()
      question = asked.query.ids[i].numpy()[asked.query.padding_mask[i].numpy()][1:-1]
      near = set(sentence[max(0, first - 10):first + 11]) - set(special)
      assert set(question) <= near | asking and not set(question) & set(special)
      assert len(set(question) & near) > 1


@pytest.mark.parametrize("masker", ["salient", "random_token"])
def test_the_encoder_may_read_the_question_behind_the_masks(corpus, masker):
  mask_id, most = corpus.tokenizer.mask_id, 0
  for asked, read in zip(_batches(corpus, masker=masker, query="question"),
                         _batches(corpus, masker=masker, query="read_question")):
    for name in ("labels", "weights", "row", "support", "banned"):
      np.testing.assert_array_equal(getattr(read, name), getattr(asked, name))
    np.testing.assert_array_equal(read.query.ids, asked.query.ids)
    for i, weights in enumerate(read.weights.numpy()):
      count = int(weights.sum())
      most = max(most, count)
      ids, question = (packed.ids[i].numpy()[packed.padding_mask[i].numpy()]
                       for packed in (read.sentence, read.query))
      assert ids.tolist() == [question[0], *[mask_id] * count, *question[1:]]
      assert read.positions[i].numpy()[:count].tolist() == list(range(1, count + 1))
  assert most > 1


def test_own_block_is_banned(corpus):
  for batch in _batches(corpus):
    np.testing.assert_array_equal(batch.banned[:, 0], batch.row)


@pytest.mark.parametrize("query", ["sentence", "question", "read_question"])
def test_a_resumed_run_sees_the_same_batches(corpus, query):
  complete, tail = _batches(corpus, query=query), _batches(corpus, first=7, query=query)
  for a, b in zip(complete[7:], tail):
    np.testing.assert_array_equal(a.query.ids, b.query.ids)
    np.testing.assert_array_equal(a.labels, b.labels)
