"""The three flavours of an export answer as the model in memory does, whatever is asked."""

import resource

import numpy as np
import pytest
import tensorflow as tf

import realm_tf
from realm_tf.corpus.passages import Passages
from realm_tf.errors import UserError
from realm_tf.serving import saved_model as serving
from tests import answers

pytestmark = pytest.mark.slow

_QUESTIONS = [b"what is the capital of france", b"who lives by the river?", b"Oslo"]


@pytest.fixture(name="exported", scope="module", params=["portable", "native", "scann"])
def _exported(world, request):
  loaded = serving.load_saved_model(world.exported(request.param))
  loaded.flavour = request.param
  return loaded


def test_an_export_answers_as_the_model_does(world, exported):
  corpus, answerer = world.corpus, world.answerer
  odd = [*answers.ODD_QUESTIONS, *_QUESTIONS]
  live = answerer()
  served = answers.of_export(exported.answer(tf.constant(odd)))
  expected = live.answer(tf.constant(odd))
  answers.check(corpus, served)
  np.testing.assert_allclose(served.score, expected.score, rtol=1e-5)
  assert served.answer.numpy()[-3:].tolist() == expected.answer.numpy()[-3:].tolist()
  np.testing.assert_allclose(exported.embed(tf.constant(odd))["embedding"],
                             live.embed(tf.constant(odd)), rtol=1e-4, atol=1e-5)
  for k in (0, 3, 25):
    retrieved = exported.retrieve(tf.constant(odd), [k])
    assert {tuple(value.shape) for value in retrieved.values()} == {(len(odd), k)}
    np.testing.assert_array_equal(retrieved["row"], live.retrieve(tf.constant(odd), k).row)


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
    outputs = exported.signatures[name](questions=none, **{
        key: tf.constant(value) for key, value in inputs.items()})
    assert {value.shape[0] for value in outputs.values()} == {0}, name
  outputs = exported.signatures["embed_documents"](texts=none, titles=tf.constant([""]))
  assert outputs["embedding"].shape == [0, 16]
  assert {tuple(value.shape) for value in exported.retrieve(none, [4]).values()} == {(0, 4)}


def test_an_export_is_an_object_of_strings_in_and_plain_values_out(world, exported):
  corpus, answerer = world.corpus, world.answerer
  model = realm_tf.load(world.exported(exported.flavour))
  questions = [question.decode() for question in _QUESTIONS]
  live = answerer().answer(tf.constant(questions))
  records = model.answer(questions)
  assert [record["answer"].encode() for record in records] == live.answer.numpy().tolist()
  for record in records:
    assert record["passage"][record["start"]:record["end"]] == record["answer"]
  passages = model.retrieve(questions[0], k=4)
  assert len(passages) == 1 and len(passages[0]) == 4
  assert passages[0][0]["passage"].encode() in corpus.texts.tolist()
  assert model.embed(questions).shape == (3, 16) and model.answer([]) == []
  _check_top(model, questions, records)
  with pytest.raises(UserError, match="no export there"):
    realm_tf.load(world.folder)


def _check_top(model, questions, best):
  """Of the same request with more answers, a threshold and a precision."""
  records = model.answer(questions, top_n=4)
  for record, alone in zip(records, best, strict=True):
    assert record["answerable"] and 1 < len(record["answers"]) <= 4
    assert {name: record[name] for name in record["answers"][0]} == record["answers"][0]
    assert record["answer"] == alone["answer"] and len(alone["answers"]) == 1
    shares = [listed["probability"] for listed in record["answers"]]
    assert shares[1:] == sorted(shares[1:], reverse=True) and 0 < sum(shares) <= 1.0001
    for listed in record["answers"]:
      assert listed["passage"][listed["start"]:listed["end"]] == listed["answer"]
  least = sorted(record["probability"] for record in best)[1]
  refused = model.answer(questions, threshold=least)
  assert [record["answerable"] for record in refused] == [
      record["probability"] >= least for record in best]
  for record, top in zip(refused, best):
    assert record["answer"] == (top["answer"] if record["answerable"] else "")
    assert record["passage"][record["start"]:record["end"]] == record["answer"]
    assert record["answers"] == top["answers"] and record["probability"] == top["probability"]
  assert model.answer(questions[0].encode()) == model.answer(questions[0])
  assert model.answer(questions, precision=0.75) == model.answer(questions, threshold=0.0625)
  for wrong in ({"threshold": 2.0}, {"precision": 0.9}, {"threshold": 0.5, "precision": 0.5}):
    with pytest.raises(UserError):
      model.answer(questions, **wrong)
  for top_n in (0, -1, 101, 2**32 + 1):
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
  inputs = {"top_n": [1, 4, 2], "read_blocks": [3, 1, 99], "threshold": [0.0, 1.0, 0.0]}
  together = exported.answer(questions, **inputs)
  passages = exported.retrieve(questions, [2, 0, 5])
  for i, k in enumerate([2, 0, 5]):
    alone = exported.answer(questions[i:i + 1], **{
        name: values[i:i + 1] for name, values in inputs.items()})
    for name, value in alone.items():
      row = together[name][i:i + 1]
      if name.startswith("top_"):
        padding = row[:, value.shape[1]:]
        assert not padding.numpy().any() or name == "top_row" or name == "top_score", name
        row = row[:, :value.shape[1]]
      if value.dtype == tf.float32:
        np.testing.assert_allclose(row, value, rtol=1e-4, atol=1e-6, err_msg=name)
      else:
        np.testing.assert_array_equal(row, value, name)
    retrieved = exported.retrieve(questions[i:i + 1], [k])
    for name, value in retrieved.items():
      if value.dtype == tf.float32:
        np.testing.assert_allclose(passages[name][i:i + 1, :k], value, rtol=1e-5)
      else:
        np.testing.assert_array_equal(passages[name][i:i + 1, :k], value, name)
    assert passages["row"][i, k:].numpy().tolist() == [-1] * (5 - k)
    assert not passages["passage"][i, k:].numpy().any()
    assert np.isfinite(passages["score"][i].numpy()).all()


def test_documents_are_embedded_as_those_of_the_corpus(world, exported):
  corpus, live = world.corpus, world.answerer()
  rows = tf.range(corpus.num_blocks)
  expected = live.model.retriever.document_tower(
      Passages(corpus).documents(rows, live.model.retriever.document_length))
  embedded = exported.embed_documents(tf.constant(corpus.texts), tf.constant(corpus.titles))
  np.testing.assert_allclose(embedded["embedding"], expected, rtol=1e-3, atol=1e-4)
  untitled = exported.embed_documents(tf.constant(corpus.texts[:1]))["embedding"]
  assert np.abs(untitled - expected[:1]).max() > 1e-3
