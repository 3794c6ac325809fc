"""Answering in the graph against a plain loop over all spans of all read blocks."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.cli.run_model import initial_model
from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.evaluate import predict, score
from realm_tf.evaluation.questions import Question
from realm_tf.index.embed import CorpusEmbedder, collect
from realm_tf.index.exact import ExactIndex
from realm_tf.text.inputs import pack_single
from tests import tiny


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("answering")
  corpus = tiny.make_corpus(folder / "corpus")
  passages = Passages(corpus)
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  embedder = CorpusEmbedder(passages, model.make_tower, 64, 512)
  embedder.snapshot(model.retriever.document_tower)
  table = collect(embedder.batches(), embedder.num_rows)
  index = ExactIndex(*table.shape)
  index.assign(table, 0)
  return corpus, passages, model, table, QuestionAnswerer(model, corpus, passages, index, 3)


QUESTIONS = ["what is the capital of france", "who lives by the river?", "Oslo", "é?"]


def test_answers_are_the_best_span_of_a_plain_loop(world):
  corpus, passages, model, table, answerer = world
  ours = answerer.answer(tf.constant(QUESTIONS))
  for i, question in enumerate(QUESTIONS):
    tokens = corpus.tokenizer.tokenize([question])
    query = model.retriever.embed_queries(pack_single(tokens, 32, corpus.tokenizer))[0]
    relevance = table @ query.numpy()
    best = (-np.inf,)
    for row in np.argsort(-relevance, kind="stable")[:3]:
      packed = passages.after(tokens, np.array([[row]], np.int32), 96)
      logits = model.encoder.span_logits(packed)[0].numpy()
      for t, w in np.argwhere(np.isfinite(logits)):
        first = t - int(packed.second_start[0])
        best = max(best, (logits[t, w] + relevance[row], row, first, first + w))
    total, row, first, last = best
    text = corpus.texts[row]
    answer = text[corpus.body_starts.row(row)[first]:corpus.body_ends.row(row)[last]]
    assert ours.answer[i].numpy() == answer
    assert ours.row[i] == row and ours.passage[i].numpy() == text
    assert ours.passage_id[i].numpy().decode() == corpus.document_ids[row]
    np.testing.assert_allclose(ours.score[i], total, rtol=1e-4)
    passage = text.decode()
    assert passage[ours.start[i].numpy():ours.end[i].numpy()] == answer.decode()


def test_retrieval_is_a_full_sort(world):
  corpus, _, model, table, answerer = world
  found = answerer.retrieve(tf.constant(QUESTIONS), 7)
  queries = answerer.embed(tf.constant(QUESTIONS)).numpy()
  order = np.argsort(-(queries @ table.T), axis=1, kind="stable")[:, :7]
  np.testing.assert_array_equal(found.row, order)
  np.testing.assert_array_equal(found.title, corpus.titles[order])


def test_prediction_and_scores(world):
  answerer = world[-1]
  records = list(predict(answerer, QUESTIONS, batch_size=3, passages=5))
  assert [record["question"] for record in records] == QUESTIONS
  right = [Question(str(i), q, (records[i]["prediction"] if i < 2 else "no such answer",))
           for i, q in enumerate(QUESTIONS)]
  metrics = score(right, records, [1, 5], 3)
  assert metrics["exact_match"] == 0.5 and metrics["f1"] == 0.5
  assert metrics["questions"] == 4 and metrics["recall@5"] == 0.5
