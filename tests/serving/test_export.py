"""The three flavours of an export answer as the model in memory does, whatever is asked."""

import resource

import numpy as np
import pytest
import tensorflow as tf

import realm_tf
from realm_tf.config import IndexConfig
from realm_tf.corpus.passages import Passages
from realm_tf.errors import UserError
from realm_tf.evaluation.answering import Answers, QuestionAnswerer
from realm_tf.index.exact import ExactIndex
from realm_tf.index.scann import ScannInGraph
from realm_tf.run.model import initial_model
from realm_tf.serving import export as serving
from tests import answers, tiny

pytestmark = pytest.mark.slow

_QUESTIONS = [b"what is the capital of france", b"who lives by the river?", b"Oslo"]


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  folder = tmp_path_factory.mktemp("export")
  corpus = tiny.make_corpus(folder / "corpus")
  model = initial_model(tiny.make_config(folder), corpus.tokenizer)
  table = np.random.default_rng(5).normal(size=[corpus.num_blocks, 16]).astype(np.float32)

  def answerer():
    index = ExactIndex()
    index.assign(table, 0)
    return QuestionAnswerer(model, corpus, Passages(corpus), index, 2)
  return folder, corpus, answerer


@pytest.fixture(name="exported", scope="module", params=["portable", "native", "scann"])
def _exported(world, request):
  folder, _, answerer = world
  native, scann = (request.param == flavour for flavour in ("native", "scann"))
  made = answerer()
  if scann:
    made.index = ScannInGraph(made.index, IndexConfig())
  if native:
    made.index = made.index.shadowed()
  serving.export(made, folder / request.param, request.param)
  return serving.load_saved_model(folder / request.param)


def test_an_export_answers_as_the_model_does(world, exported):
  _, corpus, answerer = world
  odd = [*answers.ODD_QUESTIONS, *_QUESTIONS]
  live = answerer()
  ours, expected = Answers(**exported.answer(tf.constant(odd))), live.answer(tf.constant(odd))
  answers.check(corpus, ours)
  np.testing.assert_allclose(ours.score, expected.score, rtol=1e-5)
  assert ours.answer.numpy()[-3:].tolist() == expected.answer.numpy()[-3:].tolist()
  np.testing.assert_allclose(exported.embed(tf.constant(odd))["embedding"],
                             live.embed(tf.constant(odd)), rtol=1e-4, atol=1e-5)
  for k in (0, 3, 25):
    found = exported.retrieve(tf.constant(odd), k)
    assert {tuple(value.shape) for value in found.values()} == {(len(odd), k)}
    np.testing.assert_array_equal(found["row"], live.retrieve(tf.constant(odd), k).row)


@pytest.mark.parametrize("k", [-1, 26, 300_000_000, 2**31 - 1])
def test_k_is_refused_before_it_takes_memory(exported, k):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB
  with pytest.raises(tf.errors.InvalidArgumentError, match=rf"from 0 to 25, .*\[{k}\]"):
    exported.retrieve(tf.constant(_QUESTIONS), k)
  assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 1_000_000


def test_no_questions(exported):
  none = tf.constant([], tf.string)
  assert {value.shape[0] for value in exported.answer(none).values()} == {0}
  assert {tuple(value.shape) for value in exported.retrieve(none, 4).values()} == {(0, 4)}
  assert exported.embed(none)["embedding"].shape == [0, 16]


def test_an_export_is_an_object_of_strings_in_and_plain_values_out(world, exported):
  folder, corpus, answerer = world
  flavour = next(path for path in folder.iterdir() if path.name in ("portable", "native",
                                                                    "scann"))
  model = realm_tf.load(flavour)
  questions = [question.decode() for question in _QUESTIONS]
  live = answerer().answer(tf.constant(questions))
  found = model.answer(questions)
  assert [one["answer"].encode() for one in found] == live.answer.numpy().tolist()
  for one in found:
    assert one["passage"][one["start"]:one["end"]] == one["answer"]
  passages = model.retrieve(questions[0], k=4)
  assert len(passages) == 1 and len(passages[0]) == 4
  assert passages[0][0]["passage"].encode() in corpus.texts.tolist()
  assert model.embed(questions).shape == (3, 16) and model.answer([]) == []
  with pytest.raises(UserError, match="no export there"):
    realm_tf.load(folder)
