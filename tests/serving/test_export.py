"""The three flavours of an export answer as the model in memory does, whatever is asked."""

import resource

import numpy as np
import pytest
import tensorflow as tf

import realm_tf
from realm_tf.config import IndexConfig
from realm_tf.corpus.passages import Passages
from realm_tf.errors import UserError
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration, Point
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
    return QuestionAnswerer(model, corpus, Passages(corpus), index, 2, Calibration(
        0.5, 2.0, questions=30, curve=(Point(0.0625, 0.75, 1.0),)))
  return folder, corpus, answerer


@pytest.fixture(name="exported", scope="module", params=["portable", "native", "scann"])
def _exported(world, request):
  folder, _, answerer = world
  native, scann = (request.param == flavour for flavour in ("native", "scann"))
  made = answerer()
  if scann:
    made.index = ScannInGraph(made.index, IndexConfig(rescored=6))
    assert made.index._state is not None  # of so few rows, ScaNN has a use for them
  if native:
    made.index = made.index.shadowed()
  assert serving.export(made, folder / request.param, request.param) == (
      folder / request.param / "1")
  loaded = serving.load_saved_model(folder / request.param)
  loaded.flavour = request.param
  return loaded


def test_an_export_answers_as_the_model_does(world, exported):
  _, corpus, answerer = world
  odd = [*answers.ODD_QUESTIONS, *_QUESTIONS]
  live = answerer()
  ours = answers.of_export(exported.answer(tf.constant(odd)))
  expected = live.answer(tf.constant(odd))
  answers.check(corpus, ours)
  np.testing.assert_allclose(ours.score, expected.score, rtol=1e-5)
  assert ours.answer.numpy()[-3:].tolist() == expected.answer.numpy()[-3:].tolist()
  np.testing.assert_allclose(exported.embed(tf.constant(odd))["embedding"],
                             live.embed(tf.constant(odd)), rtol=1e-4, atol=1e-5)
  for k in (0, 3, 25):
    found = exported.retrieve(tf.constant(odd), [k])
    assert {tuple(value.shape) for value in found.values()} == {(len(odd), k)}
    np.testing.assert_array_equal(found["row"], live.retrieve(tf.constant(odd), k).row)


@pytest.mark.parametrize("k", [-1, 26, 300_000_000, 2**31 - 1])
def test_k_is_refused_before_it_takes_memory(exported, k):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB
  with pytest.raises(tf.errors.InvalidArgumentError, match=rf"from 0 to 25, .*\[{k}\]"):
    exported.retrieve(tf.constant(_QUESTIONS), [k])
  assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 1_000_000


def test_no_questions(exported):
  none = tf.constant([], tf.string)
  for name, inputs in (
      ("serving_default", {}), ("embed", {}), ("retrieve", {"k": [4]}),
      ("retrieve", {"k": tf.constant([], tf.int32)}),
      ("answer", {"top_n": [2], "read_blocks": [1], "threshold": [0.5]})):
    found = exported.signatures[name](questions=none, **{
        key: tf.constant(value) for key, value in inputs.items()})
    assert {value.shape[0] for value in found.values()} == {0}, name
  found = exported.signatures["embed_documents"](texts=none, titles=tf.constant([""]))
  assert found["embedding"].shape == [0, 16]
  assert {tuple(value.shape) for value in exported.retrieve(none, [4]).values()} == {(0, 4)}


def test_an_export_is_an_object_of_strings_in_and_plain_values_out(world, exported):
  folder, corpus, answerer = world
  model = realm_tf.load(folder / exported.flavour)
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
  _check_top(model, questions, found)
  with pytest.raises(UserError, match="no export there"):
    realm_tf.load(folder)


def _check_top(model, questions, best):
  """Of the same request with more answers, a threshold and a precision."""
  found = model.answer(questions, top_n=4)
  for one, alone in zip(found, best, strict=True):
    assert one["answerable"] and 1 < len(one["answers"]) <= 4
    assert {name: one[name] for name in one["answers"][0]} == one["answers"][0]
    assert one["answer"] == alone["answer"] and len(alone["answers"]) == 1
    shares = [listed["probability"] for listed in one["answers"]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1.0001
    for listed in one["answers"]:
      assert listed["passage"][listed["start"]:listed["end"]] == listed["answer"]
  least = sorted(one["probability"] for one in best)[1]
  refused = model.answer(questions, threshold=least)
  assert [one["answerable"] for one in refused] == [
      one["probability"] >= least for one in best]
  for one, given in zip(refused, best):
    assert one["answer"] == (given["answer"] if one["answerable"] else "")
    assert one["passage"][one["start"]:one["end"]] == one["answer"]
    assert one["answers"] == given["answers"] and one["probability"] == given["probability"]
  assert model.answer(questions, precision=0.75) == model.answer(questions, threshold=0.0625)
  for wrong in ({"threshold": 2.0}, {"precision": 0.9}, {"threshold": 0.5, "precision": 0.5}):
    with pytest.raises(UserError):
      model.answer(questions, **wrong)
  for top_n in (0, -1, 101):
    with pytest.raises(tf.errors.InvalidArgumentError, match="top_n must be from 1 to 100"):
      model.answer(questions, top_n=top_n)


def test_signatures_are_what_a_server_asks(exported):
  questions = tf.constant(_QUESTIONS)
  best = exported.signatures["serving_default"](questions=questions)
  asked = exported.signatures["answer"]
  same = asked(questions=questions, top_n=tf.constant([5]), read_blocks=tf.constant([2]),
               threshold=tf.constant([0.0]))
  for name, value in best.items():
    np.testing.assert_array_equal(value, same[name], name)
  np.testing.assert_array_equal(best["top_answer"][:, 0], best["answer"])
  assert best["top_answer"].shape == [3, 5] and {len(value) for value in best.values()} == {3}
  for threshold in (-0.1, 1.1, float("nan")):
    with pytest.raises(tf.errors.InvalidArgumentError, match="threshold must be from 0 to 1"):
      exported.answer(questions, threshold=[0.5, threshold, 0.5])
  for name, value in (("top_n", 0), ("top_n", 101), ("read_blocks", 0), ("read_blocks", 101)):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} must be from 1 to 100"):
      exported.answer(questions, **{name: [1, 1, value]})
  for name in ("top_n", "read_blocks"):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one for each question"):
      exported.answer(questions, **{name: [1, 1]})


def test_each_question_of_a_batch_has_numbers_of_its_own(exported):
  questions = tf.constant(_QUESTIONS)
  wanted = {"top_n": [1, 4, 2], "read_blocks": [3, 1, 99], "threshold": [0.0, 1.0, 0.0]}
  together = exported.answer(questions, **wanted)
  passages = exported.retrieve(questions, [2, 0, 5])
  for i, k in enumerate([2, 0, 5]):
    alone = exported.answer(questions[i:i + 1], **{
        name: values[i:i + 1] for name, values in wanted.items()})
    for name, value in alone.items():
      here = together[name][i:i + 1]
      if name.startswith("top_"):
        left = here[:, value.shape[1]:]
        assert not left.numpy().any() or name == "top_row" or name == "top_score", name
        here = here[:, :value.shape[1]]
      if value.dtype == tf.float32:
        np.testing.assert_allclose(here, value, rtol=1e-4, atol=1e-6, err_msg=name)
      else:
        np.testing.assert_array_equal(here, value, name)
    found = exported.retrieve(questions[i:i + 1], [k])
    for name, value in found.items():
      if value.dtype == tf.float32:
        np.testing.assert_allclose(passages[name][i:i + 1, :k], value, rtol=1e-5)
      else:
        np.testing.assert_array_equal(passages[name][i:i + 1, :k], value, name)
    assert passages["row"][i, k:].numpy().tolist() == [-1] * (5 - k)
    assert not passages["passage"][i, k:].numpy().any()
    assert np.isfinite(passages["score"][i].numpy()).all()


def test_documents_are_embedded_as_those_of_the_corpus(world, exported):
  _, corpus, answerer = world
  live = answerer()
  rows = tf.range(corpus.num_blocks)
  expected = live.model.retriever.document_tower(
      Passages(corpus).documents(rows, live.model.retriever.document_length))
  found = exported.embed_documents(tf.constant(corpus.texts), tf.constant(corpus.titles))
  np.testing.assert_allclose(found["embedding"], expected, rtol=1e-3, atol=1e-4)
  untitled = exported.embed_documents(tf.constant(corpus.texts[:1]))["embedding"]
  assert np.abs(untitled - expected[:1]).max() > 1e-3
