"""Answering in the graph against a plain loop over all spans of all read blocks."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import answering
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import PUBLISHED, Calibration
from realm_tf.evaluation.evaluate import predict_records, score_records
from realm_tf.index.distributed import DistributedIndex
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from realm_tf.text.answers import normalize
from realm_tf.text.inputs import pack_single
from realm_tf.text.tokenizer import Tokenizer
from tests import answers, tiny


def _answerer(model, corpus, read_blocks=3, calibration=PUBLISHED):
  """Over an index of random vectors: whatever they are, the best are read."""
  passages = Passages(corpus)
  table = np.random.default_rng(5).normal(size=[corpus.num_blocks, 16]).astype(np.float32)
  index = ExactIndex()
  index.assign(table, 0)
  return passages, table, QuestionAnswerer(model, corpus, passages, index, read_blocks,
                                           calibration)


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("answering")
  corpus = tiny.make_corpus(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  passages, table, answerer = _answerer(model, corpus)
  return corpus, passages, model, table, answerer


QUESTIONS = ["what is the capital of france", "who lives by the river?", "Oslo", "é?"]


def _spans(corpus, passages, model, table, question, whole_words=True, weight=1.0):
  """(score, row, first piece, last piece) of all spans, by a plain loop."""
  tokens = corpus.tokenizer.tokenize([question])
  query = model.retriever.embed_queries(pack_single(tokens, 32, corpus.tokenizer))[0]
  relevance = table @ query.numpy()
  spans = []
  for row in np.argsort(-relevance, kind="stable")[:3]:
    packed = passages.after(tokens, np.array([[row]], np.int32), 96)
    logits = model.encoder.span_logits(packed)[0].numpy()
    begins, ends = answers.edges(corpus, row)
    for t, w in np.argwhere(np.isfinite(logits)):
      first = t - int(packed.second_start[0])
      if not whole_words or (first in begins and first + w in ends):
        spans.append((logits[t, w] + weight * relevance[row], row, first, first + w))
  return spans


def _best_span(*arguments):
  return max(_spans(*arguments))


def _check_answer(corpus, actual, i, best):
  total, row, first, last = best
  text = corpus.texts[row]
  answer = text[corpus.body_starts.row(row)[first]:corpus.body_ends.row(row)[last]]
  assert actual.answer[i].numpy() == answer
  assert actual.row[i] == row and actual.passage[i].numpy() == text
  assert actual.passage_id[i].numpy().decode() == corpus.document_ids[row]
  np.testing.assert_allclose(actual.score[i], total, rtol=1e-4)
  assert text.decode()[actual.start[i].numpy():actual.end[i].numpy()] == answer.decode()


def test_answers_are_the_best_span_of_a_plain_loop(world):
  corpus, passages, model, table, answerer = world
  actual = answerer.answer(tf.constant(QUESTIONS))
  for i, question in enumerate(QUESTIONS):
    _check_answer(corpus, actual, i, _best_span(corpus, passages, model, table, question))


def test_probabilities_are_those_of_a_plain_softmax_over_all_spans(world, monkeypatch):
  corpus, passages, model, table, _ = world
  answerer = _answerer(model, corpus, calibration=Calibration(0.3, 1.7))[-1]
  quick = answerer.answer(tf.constant(QUESTIONS), 5)
  monkeypatch.setattr(answering, "_SPANS", 1 << 14)  # all of them
  of_all_spans = answerer.answer(tf.constant(QUESTIONS), 5)
  several = 0
  for i, question in enumerate(QUESTIONS):
    spans = _spans(corpus, passages, model, table, question, weight=0.3)
    share = np.exp(np.array([span[0] for span in spans], np.float64) / 1.7)
    share, places = share / share.sum(), {}
    for p, (_, row, first, last) in zip(share, spans):
      text = corpus.texts[row][corpus.body_starts.row(row)[first]:
                               corpus.body_ends.row(row)[last]].decode()
      places.setdefault(normalize(text) or text, []).append(p)
    for answered, exact in ((quick, False), (of_all_spans, True)):
      for answer, p in zip(answered.answer[i].numpy(), answered.probability[i].numpy()):
        shares = places[normalize(answer.decode()) or answer.decode()]
        several += len(shares) > 1
        # Here all spans are about as good: of places without number some are left out.
        total = sum(shares)
        assert p == pytest.approx(total, rel=1e-3) if exact else p <= total * 1.001
    assert of_all_spans.probability[i, 0].numpy() == pytest.approx(
        max(map(sum, places.values())), rel=1e-3)
    assert of_all_spans.answer[i, 0] == answerer.answer(tf.constant([question])).answer[0]
  assert several


def test_banned_blocks_are_not_read(world):
  corpus, *_, answerer = world
  questions = tf.constant(QUESTIONS)
  rows = answerer.retrieve(questions, 4).row.numpy()
  banned = tf.constant(rows[:, :3])
  actual, passages = answerer.answer_and_retrieve(questions, 5, banned=banned)
  assert not (actual.row.numpy()[:, None] == rows[:, :3]).any()
  np.testing.assert_array_equal(passages.row[:, 0], rows[:, 3])
  nothing = answerer.answer(questions, banned=tf.fill([len(QUESTIONS), 2], -1))
  np.testing.assert_array_equal(nothing.row, answerer.answer(questions).row)


@pytest.mark.parametrize("top_n", [0, -1, 101, 2**31 - 1])
def test_top_n_is_refused_before_anything_is_done(world, monkeypatch, top_n):
  monkeypatch.setattr(world[-1], "index", None)
  message = rf"(?s)top_n must be from 1 to 100, but is.*{top_n}"
  with pytest.raises(tf.errors.InvalidArgumentError, match=message):
    world[-1].answer(tf.constant(QUESTIONS), top_n)


def test_answers_begin_and_end_at_words(world, tmp_path):
  rng = np.random.default_rng(3)
  words = ["a", "old", "bc", "def", "ghij", "é", "river", "klmno", "."]  # of 1 to 5 pieces
  corpus = _odd_corpus(tmp_path / "corpus", [" ".join(rng.choice(words, 12))
                                             for _ in range(5)])
  passages, table, answerer = _answerer(world[2], corpus)
  actual = answerer.answer(tf.constant(QUESTIONS))
  cut = 0
  for i, question in enumerate(QUESTIONS):
    best, anywhere = (_best_span(corpus, passages, world[2], table, question, whole_words)
                      for whole_words in (True, False))
    _check_answer(corpus, actual, i, best)
    cut += best != anywhere
  assert cut  # some of the answers would have been parts of words


def test_any_bytes_are_a_question_and_leave_their_neighbours_alone(world):
  corpus, *_, answerer = world
  odd = answers.ODD_QUESTIONS
  alone = answerer.answer(tf.constant(QUESTIONS))
  mixed = answerer.answer(tf.constant([*odd, *QUESTIONS]))
  answers.check(corpus, mixed)
  for name, value in alone._asdict().items():
    beside = getattr(mixed, name)[len(odd):]
    if value.dtype == tf.float32:  # products of other sizes may round otherwise
      np.testing.assert_allclose(beside, value, rtol=1e-5)
    else:
      assert beside.numpy().tolist() == value.numpy().tolist()
  vectors = answerer.embed(tf.constant(odd)).numpy()
  assert vectors.shape == (len(odd), 16) and np.isfinite(vectors).all()


@pytest.fixture(name="tokenized")
def _tokenized(monkeypatch):
  """The lengths in bytes of the texts of each call of the tokenizer."""
  calls, tokenize = [], Tokenizer.tokenize

  def run(self, texts):
    calls.append(tf.strings.length(texts).numpy().tolist())
    return tokenize(self, texts)

  monkeypatch.setattr(Tokenizer, "tokenize", run)
  return calls


def test_of_a_long_question_the_beginning_is_read(world, tokenized):
  corpus, *_, answerer = world
  by_length = answerer.answer(tf.constant(["river " * n for n in (93, 94, 5000, 200_000)]))
  answers.check(corpus, by_length)
  for value in by_length:
    assert len(set(value.numpy().tolist())) == 1
  assert tokenized == [[93 * 6, 94 * 6, 96 * 64, 96 * 64]]  # the rest costs nothing


def _odd_corpus(folder, texts, empty=0):
  tokenizer = Tokenizer(tiny.vocabulary())
  blocks = list(split_blocks([Document(str(i), "", text) for i, text in enumerate(texts)],
                             tokenizer, 64))
  nothing = np.zeros([0], np.int32)
  blocks += [dataclasses.replace(
      blocks[0], document_id=f"empty{i}", text="", body_ids=nothing, body_starts=nothing,
      body_ends=nothing, sentence_starts=nothing) for i in range(empty)]
  write_store(folder, blocks[len(texts) == 0:], tokenizer=tokenizer, max_tokens=64, source="")
  return Corpus.open(folder)


@pytest.mark.parametrize("texts, empty, read_blocks", [
    (["a"], 0, 1), (["a", "."], 0, 9), (["Paris é", "é", "e\u0301e\u0301"], 0, 2),
    (["a"], 2, 5), (["Paris lies."], 1, 1),
    (["unseenword" * 3], 0, 3), ([f"unseen{i}word" * 20 for i in range(3)], 0, 2)])
def test_odd_corpora(world, tmp_path, texts, empty, read_blocks):
  """Tiny blocks, one block, blocks of nothing, and of words that no span can hold."""
  corpus = _odd_corpus(tmp_path / "corpus", texts, empty)
  answerer = _answerer(world[2], corpus, read_blocks)[-1]
  questions = [*QUESTIONS, "", "who " * 1000]
  answers.check(corpus, answerer.answer(tf.constant(questions)))
  if texts == ["unseenword" * 3]:
    assert set(answerer.answer(tf.constant(questions)).answer.numpy()) == {texts[0].encode()}


def test_a_word_that_is_cut_off_does_not_end_there(world, tmp_path):
  """With 96 pieces to a pair and 69 of a question, 24 of a block are read."""
  words = ["a"] * 20 + ["unseen"] + ["a"] * 20
  corpus = _odd_corpus(tmp_path / "corpus", [" ".join(words)])
  passages, _, answerer = _answerer(world[2], corpus)
  tokens = corpus.tokenizer.tokenize(["river " * 80])
  rows = tf.constant([0])
  packed = passages.after(tokens, rows[:, None], 96)
  begins, ends = (flags.numpy()[0, 71:95].tolist()
                  for flags in passages.word_edges(packed, rows))
  assert packed.second_start[0] == 71 and packed.padding_mask.numpy().sum() == 96
  assert begins == [True] * 21 + [False] * 3
  assert ends == [True] * 20 + [False] * 4
  answers.check(corpus, answerer.answer(tf.constant(["river " * 80])))


def test_many_questions_are_answered_some_at_a_time(world, tokenized, monkeypatch):
  """And those give what all at once would give, in order."""
  corpus, *_, answerer = world
  questions = tf.constant([f"{question} {i}" for i in range(2) for question in QUESTIONS][1:])
  at_once = (*answerer.answer(questions), *answerer.retrieve(questions, 4),
             answerer.embed(questions), *answerer.answer_and_retrieve(questions, 5)[1])
  tokenized.clear()
  for name, most in (("_QUESTIONS", 4), ("_PAIRS", 12), ("_ROWS", 20)):
    monkeypatch.setattr(answering, name, most)
  parts = (*answerer.answer(questions), *answerer.retrieve(questions, 4),
           answerer.embed(questions), *answerer.answer_and_retrieve(questions, 5)[1])
  assert [len(texts) for texts in tokenized] == [4, 4] * 4  # the last are filled up
  for actual, expected in zip(parts, at_once, strict=True):
    if expected.dtype == tf.float32:
      np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    else:
      np.testing.assert_array_equal(actual, expected)


def test_parts_are_searched_over_replicas(world, mirrored, monkeypatch):
  corpus, passages, model, table, answerer = world
  monkeypatch.setattr(answering, "_PAIRS", 6)
  index = DistributedIndex(mirrored)
  index.assign(index.prepare(table), 0)
  shared = QuestionAnswerer(model, corpus, passages, index, 3, PUBLISHED)
  questions = tf.constant(QUESTIONS[:3])
  actual = tf.function(shared.answer, [tf.TensorSpec([None], tf.string)])(questions)
  np.testing.assert_array_equal(actual.answer, answerer.answer(questions).answer)


def test_no_questions(world):
  answerer = world[-1]
  none = tf.constant([], tf.string)
  assert {value.shape[0] for value in answerer.answer(none)} == {0}
  assert {tuple(value.shape) for value in answerer.retrieve(none, 4)} == {(0, 4)}
  assert answerer.embed(none).shape == [0, 16]
  assert list(predict_records(answerer, [], batch_size=2, passages=3)) == []


def test_retrieval_is_a_full_sort(world):
  corpus, _, model, table, answerer = world
  retrieved = answerer.retrieve(tf.constant(QUESTIONS), 7)
  queries = answerer.embed(tf.constant(QUESTIONS)).numpy()
  order = np.argsort(-(queries @ table.T), axis=1, kind="stable")[:, :7]
  np.testing.assert_array_equal(retrieved.row, order)
  np.testing.assert_array_equal(retrieved.title, corpus.titles[order])


@pytest.mark.parametrize("k", [-1, 26, 300_000_000, 2**31 - 1])
def test_k_is_refused_before_anything_is_done(world, monkeypatch, k):
  def nothing(*arguments):
    raise AssertionError("done before")

  answerer = world[-1]
  monkeypatch.setattr(answerer, "index", None)
  monkeypatch.setattr(Tokenizer, "tokenize", nothing)
  with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(?s)from 0 to 25,.*{k}"):
    answerer.retrieve(tf.constant(QUESTIONS), k)


def test_all_blocks_and_none_are_retrieved(world):
  answerer = world[-1]
  rows = answerer.retrieve(tf.constant(QUESTIONS), 25).row.numpy()
  assert (np.sort(rows, 1) == np.arange(25)).all()
  assert {tuple(value.shape) for value in answerer.retrieve(tf.constant(QUESTIONS), 0)} == {
      (4, 0)}


def test_prediction_and_scores(world):
  odd = ["", "\0", "\ud800", "who " * 10_000]
  records = list(predict_records(world[-1], QUESTIONS + odd, batch_size=3, passages=1000))
  assert [record["question"] for record in records] == QUESTIONS + odd
  assert all(len(record["passages"]) == 25 for record in records)
  right = [Question(str(i), q, (records[i]["prediction"] if i < 2 else "no such answer",))
           for i, q in enumerate(QUESTIONS)]
  metrics = score_records(right, records[:4], [1, 5], 3)
  assert metrics["exact_match"] == 0.5 and metrics["f1"] == 0.5
  assert metrics["questions"] == 4 and metrics["recall@5"] == 0.5


def test_both_rules_are_told():
  texts = ["a party in 1939—1945", "東京である", "none"]
  predictions = ["1939 – 1945", "the 東京", "a"]
  questions = [Question("1", "q", ("1939-1945",)), Question("2", "q", ("東京", "art")),
               Question("3", "q", ("no",))]
  records = [{"prediction": prediction, "passages": [{"text": text}]}
             for prediction, text in zip(predictions, texts)]
  scores = score_records(questions, records, [1], 1)
  assert scores["recall@1"] == scores["reader_oracle"] == pytest.approx(2 / 3)
  assert scores["recall@1_by_substring"] == pytest.approx(2 / 3)  # 東京, and "no" in "none"
  assert scores["exact_match"] == pytest.approx(1 / 3)  # without the article
  assert scores["exact_match_by_words"] == pytest.approx(1 / 3)  # the years


def test_no_answer_breaks_a_border(world, tmp_path):
  """Against the plain loop less the spans that do, which some of the best ones here are."""
  rng = np.random.default_rng(4)
  words = ["old", "river", "paris", "seine", "18:30", "4,310"]
  corpus = _odd_corpus(tmp_path / "corpus", [
      "\n".join(" | ".join(rng.choice(words, 2)) for _ in range(4)) for _ in range(5)])
  passages, table, answerer = _answerer(world[2], corpus)
  actual = answerer.answer(tf.constant(QUESTIONS), 3)
  wrong = set()
  for i, question in enumerate(QUESTIONS):
    for _, row, first, last in sorted(
        _spans(corpus, passages, world[2], table, question), reverse=True):
      text = corpus.texts[row][corpus.body_starts.row(row)[first]:
                               corpus.body_ends.row(row)[last]].decode()
      if text in words:
        break
      wrong |= set(text) & set("|\n13")
    assert actual.answer[i, 0].numpy().decode() == text
    assert {answer.decode() for answer in actual.answer[i].numpy()} <= set(words)
  assert wrong & set("|\n") and wrong & set("13")
