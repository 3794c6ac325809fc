"""Texts in: any number of them, as packed tokens one by one."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.models import texts
from realm_tf.text.inputs import pack_pair, pack_single
from tests import tiny
from tests.models import small

_TEXTS = ["Paris", "where is the capital of France and of Spain?", "", "Zürich 東京 [SEP]",
          *(f"many people live in {city} by the river" * n
            for n, city in enumerate(tiny.CITIES, 1))]


@pytest.fixture(name="retriever", scope="module")
def _retriever():
  return small.seeded(small.retriever, shared_towers=False)


def _one_by_one(embed, pack, *columns):
  ids = [small.TOKENIZER.tokenize(column) for column in columns]
  return np.concatenate([embed(pack(*(part[i:i + 1] for part in ids))).numpy()
                         for i in range(len(columns[0]))])


def test_queries_are_as_each_alone_packed(retriever):
  expected = _one_by_one(retriever.embed_queries,
                         lambda ids: pack_single(ids, 32, small.TOKENIZER), _TEXTS)
  for container in (_TEXTS, tuple(_TEXTS), np.array(_TEXTS), tf.constant(_TEXTS),
                    [text.encode() for text in _TEXTS]):
    actual = retriever.embed_queries(container, batch_tokens=64)
    assert actual.dtype == tf.float32 and actual.shape == [len(_TEXTS), 8]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_documents_are_as_each_alone_packed_with_its_title(retriever):
  pack = lambda title, body: pack_pair(title, body, 64, small.TOKENIZER)  # noqa: E731
  for titles in ([""] * len(_TEXTS), _TEXTS[::-1]):
    expected = _one_by_one(retriever.embed_documents, pack, titles, _TEXTS)
    np.testing.assert_allclose(retriever.embed_documents((titles, _TEXTS), 64), expected,
                               rtol=1e-4, atol=1e-5)
  np.testing.assert_array_equal(
      retriever.embed_documents(_TEXTS),
      retriever.embed_documents(([""] * len(_TEXTS), _TEXTS)))


def test_batches_are_bounded_and_one_trace_serves_all(retriever, monkeypatch):
  monkeypatch.setattr(texts, "_TOKENISED", 5)
  sizes = []
  really = texts.token_batches

  def noted(*arguments):
    for places, ids in really(*arguments):
      lengths = ids[0].row_lengths().numpy() + 2
      sizes.append((len(places), min(lengths.max(), 32)))
      yield places, ids

  monkeypatch.setattr(texts, "token_batches", noted)
  traces = []
  tower = retriever.query_tower
  monkeypatch.setattr(tower, "call", lambda packed, call=tower.call: (
      traces.append(packed.ids.shape), call(packed))[1])
  retriever._untracked.graphs.clear()  # pylint: disable=protected-access
  retriever.embed_queries(_TEXTS, batch_tokens=40)
  assert sum(count for count, _ in sizes) == len(_TEXTS) and len(sizes) > 5
  assert all(count == 1 or count * longest <= 40 for count, longest in sizes)
  assert traces == [[None, None]]


def test_no_texts_are_no_vectors(retriever):
  assert retriever.embed_queries([]).shape == [0, 8]
  assert retriever.embed_documents(([], [])).shape == [0, 8]
  assert small.reader().read([], []) == []


def test_a_graph_takes_texts_too(retriever):
  @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
  def embed(strings):
    return retriever.embed_queries(strings), retriever.embed_documents(strings)

  for actual, expected in zip(embed(tf.constant(_TEXTS)), (
      retriever.embed_queries(_TEXTS), retriever.embed_documents(_TEXTS))):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_a_single_text_is_no_list(retriever):
  for embed in (retriever.embed_queries, retriever.embed_documents):
    with pytest.raises(ValueError, match=r"a single one: write \[text\]"):
      embed("where is Paris")
  with pytest.raises(ValueError, match="2 titles, but 1 texts"):
    retriever.embed_documents((["a", "b"], ["c"]))
  with pytest.raises(ValueError, match="1 questions, but 2 passages"):
    small.reader().read(["a"], ["b", "c"])


def test_the_reader_finds_the_best_span_and_where_it_stands():
  reader = small.seeded(small.reader)
  passages = ["Östlich liegt Paris, by the river.", "It", "", *small.PASSAGES]
  questions = ["where", "what is it", "why", *small.QUESTIONS]
  spans = reader.read(questions, passages, batch_tokens=128)
  for question, passage, span in zip(questions, passages, spans, strict=True):
    logits = reader.span_logits(reader.pack([question], [passage])).numpy()[0]
    start_of_body = len(small.TOKENIZER.tokenize([question]).to_list()[0]) + 2
    if not np.isfinite(logits).any():
      assert passage == "" and span == ("", -np.inf, 0, 0)
      continue
    best, width = np.unravel_index(np.argmax(logits), logits.shape)
    _, starts, ends = (part.to_list()[0] for part in
                       small.TOKENIZER.tokenize_with_offsets([passage]))
    first, last = best - start_of_body, best - start_of_body + width
    expected = passage.encode()[starts[first]:ends[last]].decode()
    assert span.answer == passage[span.start:span.end] == expected
    assert span.score == pytest.approx(float(logits.max()), abs=1e-5)
