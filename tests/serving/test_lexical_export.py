"""Exports of a retriever with lexical dimensions find and answer as the live model does."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus.passages import Passages
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.index.embed import make_index
from realm_tf.run.model import initial_model
from realm_tf.serving import saved_model as serving
from tests import tiny

pytestmark = pytest.mark.slow

_QUESTIONS = [b"what is the capital of france", b"who lives by the river?", b"Oslo"]


@pytest.mark.parametrize("flavour", ["portable", "native"])
def test_an_export_finds_as_the_model_does(tmp_path, flavour):
  corpus = tiny.make_corpus(tmp_path / "corpus")
  config = tiny.make_config(tmp_path, retriever__lexical_size=64)
  model, passages = initial_model(config, corpus.tokenizer, corpus), Passages(corpus)
  index = make_index(model.retriever, passages)
  live = QuestionAnswerer(model, corpus, passages, index, 2, exact_words=6)
  coded = QuestionAnswerer(model, corpus, passages, index, 2)
  expected, answers = live.retrieve(tf.constant(_QUESTIONS), 4), live.answer(
      tf.constant(_QUESTIONS))
  by_codes = coded.retrieve(tf.constant(_QUESTIONS), 4).row.numpy()
  assert (expected.row.numpy() != by_codes).any()
  served = QuestionAnswerer(model, corpus, passages,
                            index.shadowed() if flavour == "native" else index, 2,
                            exact_words=6)
  serving.export(served, tmp_path / "export", flavour)
  loaded = serving.load_saved_model(tmp_path / "export")
  found = loaded.retrieve(tf.constant(_QUESTIONS), [4])
  np.testing.assert_array_equal(found["row"], expected.row)
  np.testing.assert_allclose(found["score"], expected.score, rtol=1e-4)
  assert loaded.embed(tf.constant(_QUESTIONS))["embedding"].shape == [3, 16 + 64]
  np.testing.assert_array_equal(loaded.answer(tf.constant(_QUESTIONS))["answer"],
                                answers.answer)
