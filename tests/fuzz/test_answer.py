"""Any strings as questions, alone and in batches, to the model in memory and to an export."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.passages import Passages
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.index.exact import ExactIndex
from realm_tf.run.model import initial_model
from realm_tf.serving import saved_model as serving
from realm_tf.serving.response import respond
from realm_tf.text.tokenizer import Tokenizer
from tests import answers, tiny

_TEXTS = ["a", "Naïve cafés – “in” 東京タワー.", "unseenword" * 9, "ประเทศไทย 서울은 Ελλάδα",
          "e\u0301\u0301 \u200b\U0001f600 x", "\u00a0river\u2028river\0river",
          "1939-1945: 3.14 % of $5"]
_PIECES = st.one_of(
    st.sampled_from([b"who", b"Paris", b"##a", b"[SEP]", b"\xff", b"\xf0\x9f", b"\0", b" ",
                     *(text.encode() for text in ("é", "\u0301", "京", "\u200d", *_TEXTS))]),
    st.binary(max_size=20),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")))
_QUESTIONS = st.one_of(
    _PIECES, st.lists(_PIECES, max_size=200).map(b" ".join),
    st.builds(lambda piece, times: piece * times, _PIECES, st.integers(1, 20_000)),
    st.sampled_from(answers.ODD_QUESTIONS))
_INT32 = st.one_of(st.integers(-3, 40), st.integers(-2**31, 2**31 - 1))


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("fuzz")
  tokenizer = Tokenizer(tiny.vocabulary())
  documents = [*tiny.documents(), *(Document(text, text, text) for text in _TEXTS)]
  write_store(folder / "corpus", split_blocks(documents, tokenizer, 64), tokenizer=tokenizer,
              max_tokens=64, source="fuzz")
  corpus = Corpus.open(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  table = np.random.default_rng(5).normal(size=[corpus.num_blocks, 16]).astype(np.float32)
  index = ExactIndex()
  index.assign(table, 0)
  return folder, corpus, QuestionAnswerer(model, corpus, Passages(corpus), index, 3)


class _Live:
  """With the functions of an export, which TensorFlow traces once."""

  def __init__(self, answerer):
    questions = tf.TensorSpec([None], tf.string)
    self.answer = tf.function(lambda q: respond(answerer.answer(q, 1), 0.0), [questions])
    self.embed = tf.function(lambda q: {"embedding": answerer.embed(q)}, [questions])
    self.retrieve = tf.function(lambda q, k: answerer.retrieve(q, k)._asdict(),
                                [questions, tf.TensorSpec([None], tf.int32)])


@pytest.fixture(name="signatures", scope="module", params=[
    "live", pytest.param("exported", marks=pytest.mark.slow)])
def _signatures(world, request):
  folder, _, answerer = world
  if request.param == "live":
    return _Live(answerer)
  serving.export(answerer, folder / "export")
  return serving.load_saved_model(folder / "export")


@given(batch=st.lists(_QUESTIONS, max_size=5))
def test_every_question_has_an_answer_whatever_is_beside_it(world, signatures, batch):
  batch_answers = answers.of_export(signatures.answer(tf.constant(batch, tf.string)))
  assert batch_answers.score.shape == [len(batch)]
  answers.check(world[1], batch_answers)
  for question, score in zip(batch, batch_answers.score.numpy(), strict=True):
    alone = answers.of_export(signatures.answer(tf.constant([question])))
    np.testing.assert_allclose(alone.score[0], score, rtol=1e-4, atol=1e-4)


@given(batch=st.lists(_QUESTIONS, max_size=5), k=_INT32)
def test_k_passages_come_back_or_none_is_looked_for(world, signatures, batch, k):
  questions, most = tf.constant(batch, tf.string), world[1].num_blocks
  vectors = signatures.embed(questions)["embedding"].numpy()
  assert vectors.shape == (len(batch), 16) and np.isfinite(vectors).all()
  if not 0 <= k <= most:
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"from 0 to {most}"):
      signatures.retrieve(questions, tf.constant([k]))
    return
  rows = signatures.retrieve(questions, tf.constant([k]))["row"].numpy()
  assert rows.shape == (len(batch), k)
  assert all(len(set(row)) == k and set(row) <= set(range(most)) for row in rows.tolist())
