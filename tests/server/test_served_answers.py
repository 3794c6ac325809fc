"""What the server says to questions is what the export says to them."""

import concurrent.futures
import math
import threading

import numpy as np
import pytest

import realm_tf
from tests import tiny

pytestmark = pytest.mark.slow

_QUESTIONS = [question.question for question in tiny.questions()[:4]]


@pytest.fixture(name="model", scope="module")
def _model(exported):
  return realm_tf.load(exported)


def test_an_answer_is_that_of_the_export(client, model):
  for question in _QUESTIONS:
    record = client.post("/answer", json={"question": question, "top_n": 3}).json()
    expected = model.answer(question, top_n=3)[0]
    assert record.pop("version") == "3" and record.pop("question") == question
    assert record.pop("passages") == [] and record.pop("calibrated") is True
    assert {**record, **_close(record)} == {**expected, **_close(expected)}
    assert record["passage"][record["start"]:record["end"]] == record["answer"]


def _close(record):
  """What may differ in the last digit, from one batch to another."""
  answers = [{**answer, **_close(answer)} for answer in record.get("answers", [])]
  return {"score": round(record["score"], 3), "probability": round(record["probability"], 4),
          **({"answers": answers} if answers else {})}


def test_passages_come_with_their_probability(client, model):
  record = client.post("/answer", json={"question": _QUESTIONS[0], "passages": 5}).json()
  expected = model.retrieve(_QUESTIONS[0], 5)[0]
  scores = np.asarray([passage["score"] for passage in expected], np.float64)
  softmax = np.exp(scores) / np.exp(scores).sum()
  assert [passage["row"] for passage in record["passages"]] == [
      passage["row"] for passage in expected]
  np.testing.assert_allclose([passage["probability"] for passage in record["passages"]],
                             softmax, rtol=1e-4)
  alone = client.post("/search", json={"question": _QUESTIONS[0], "k": 5}).json()
  assert alone["passages"] == record["passages"]
  many = client.post("/search", json={"question": "river", "k": 100}).json()["passages"]
  assert len(many) == 25  # all that there are
  assert math.isclose(sum(passage["probability"] for passage in many), 1, rel_tol=1e-5)


def test_several_questions_are_answered_in_their_order(client):
  several = client.post("/answer", json={"questions": _QUESTIONS}).json()
  assert several["version"] == "3"
  for question, record in zip(_QUESTIONS, several["results"], strict=True):
    alone = client.post("/answer", json={"question": question}).json()
    assert record["question"] == question and _close(record) == _close(alone)
  # Random weights may give one answer to all, but not as surely.
  assert len({round(record["score"], 3) for record in several["results"]}) == len(_QUESTIONS)


def test_below_the_threshold_there_is_no_answer(client):
  sure = client.post("/answer", json={"question": _QUESTIONS[0]}).json()["probability"]
  answered = client.post("/answer", json={"question": _QUESTIONS[0],
                                          "threshold": sure - 1e-3}).json()
  assert answered["answerable"] and answered["answer"]
  refused = client.post("/answer", json={"question": _QUESTIONS[0],
                                         "threshold": min(1, sure + 1e-3)}).json()
  assert not refused["answerable"] and refused["answer"] == ""
  assert refused["answers"][0]["answer"] == answered["answer"]
  by_precision = client.post("/answer", json={"question": _QUESTIONS[0], "precision": 0.75})
  assert by_precision.json()["answerable"] == (sure >= 0.0625)


@pytest.mark.parametrize("fields, message", [
    ({}, "expected 'question'"), ({"question": "who?", "questions": ["who?"]}, "expected '"),
    ({"question": 5}, "question is int; expected a string"),
    ({"question": None}, "question is null; expected a string"),
    ({"question": ""}, "question is empty or blank"), ({"question": " \t"}, "empty or blank"),
    ({"question": "\u200b"}, "empty or blank"), ({"questions": []}, "'questions': expected"),
    ({"questions": "who?"}, "'questions': expected a list"),
    ({"questions": ["who?", 1]}, "question 2 is int"),
    ({"questions": ["who?"] * 65}, "65 questions; a request may have 64"),
    ({"question": "x" * 10_001}, "question has 10001 bytes; the limit is 10000"),
    ({"question": "é" * 5001}, "question has 10002 bytes"),
    *(({"question": "who?", "top_n": top_n}, "'top_n': expected an integer from 1 to 100")
      for top_n in (0, 101, 1.0, True, "1", None, [1], 10**400)),
    ({"question": "who?", "passages": -1}, "'passages'"),
    ({"question": "who?", "passages": 101}, "'passages'"),
    ({"question": "who?", "threshold": 1.5}, "threshold 1.5: expected a probability"),
    ({"question": "who?", "threshold": -1}, "threshold -1: expected"),
    ({"question": "who?", "threshold": "0.5"}, "'threshold': expected a number"),
    ({"question": "who?", "threshold": True}, "'threshold': expected a number"),
    ({"question": "who?", "threshold": 10**400}, "expected a probability"),
    ({"question": "who?", "precision": 0}, "precision 0: expected a share"),
    ({"question": "who?", "precision": 0.9}, "no threshold reached it"),
    ({"question": "who?", "precision": 0.5, "threshold": 0.5}, "give one of both"),
    ({"question": "who?", "topn": 3}, "'topn': no such field; one of question")])
def test_what_cannot_be_asked_is_named(client, fields, message):
  response = client.post("/answer", json=fields)
  assert response.status_code == 400 and message in response.json()["error"], response.text
  assert set(response.json()) == {"error"}


@pytest.mark.parametrize("body, message", [
    (b"", "The document is empty"), (b"{", "JSON Parse error"), (b"[]", "Is not object"),
    (b'"who?"', "Is not object"), (b"null", "Is not object"), (b"\xff", "JSON Parse error"),
    (b'{"question": "\\ud800"}', "half a surrogate pair"),
    (b'{"question": "who?", "threshold": NaN}', "NaN is no number of JSON"),
    (b'{"question": "who?", "threshold": -Infinity}', "-Infinity is no number"),
    (b'{"question": "who?", "threshold": 1e999}', "1e999 is too large"),
    (b'{"question": "who?", "top_n": ' + b"9" * 5000 + b"}", "JSON Parse error"),
    (b'{"question": ' + b"[" * 100_000, "nested too deeply"),
    (b'{"question": "who?", "question": "where?"}', "'question' is there twice"),
    (b'{"question": "who?", "more": {"a": 1, "a": 1}}', "'a' is there twice"),
    (b'{"\\ud800": 1}', "no such field")])
@pytest.mark.parametrize("path", ["/answer", "/search"])
def test_a_body_that_is_no_request_is_named(client, path, body, message):
  response = client.post(path, content=body)
  assert response.status_code == 400 and message in response.json()["error"], response.text


def test_requests_that_come_together_get_their_own_answers(client):
  requests = [(question, top_n) for question in _QUESTIONS for top_n in (1, 2, 3)]
  alone = [client.post("/answer", json={"question": question, "top_n": top_n}).json()
           for question, top_n in requests]
  start = threading.Barrier(len(requests))

  def ask(record):
    start.wait()
    return client.post("/answer", json={"question": record[0], "top_n": record[1]}).json()

  with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
    together = list(pool.map(ask, requests))
  for record, batched in zip(alone, together, strict=True):
    assert {**record, **_close(record)} == {**batched, **_close(batched)}


def _predict(client, **body):
  return client.post("/v1/models/realm:predict", json=body).json()


def test_tensorflow_servings_clients_get_the_same(client, model):
  expected = model.answer(_QUESTIONS, top_n=3)
  rows = _predict(client, instances=_QUESTIONS)["predictions"]
  assert [row["answer"] for row in rows] == [record["answer"] for record in expected]
  columns = _predict(client, signature_name="answer", inputs={
      "questions": _QUESTIONS, "top_n": [3]})["outputs"]
  assert [row[:3] for row in columns["top_answer"]] == [
      [span["answer"] for span in record["answers"]] for record in expected]
  mixed = _predict(client, signature_name="answer", instances=[
      {"questions": _QUESTIONS[0], "top_n": 1, "threshold": 1.0},
      {"questions": _QUESTIONS[0], "top_n": 3, "threshold": 0.0}])["predictions"]
  assert [row["answerable"] for row in mixed] == [False, True]
  assert sum(bool(text) for text in mixed[1]["top_answer"]) == 3
  retrieved = _predict(client, signature_name="retrieve", inputs={"questions": _QUESTIONS,
                                                                  "k": [4]})["outputs"]
  assert retrieved["row"] == [[passage["row"] for passage in record]
                              for record in model.retrieve(_QUESTIONS, 4)]
  vectors = _predict(client, signature_name="embed", instances=_QUESTIONS)["predictions"]
  np.testing.assert_allclose(vectors, model.embed(_QUESTIONS), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("inputs, message", [
    ({"questions": ["who?"], "k": [-1]}, "k must be from 0 to 25, the number of blocks"),
    ({"questions": ["who?"], "k": [26]}, "k must be from 0 to 25"),
    ({"questions": ["who?"], "k": [10_001]}, "10001 passages over all questions"),
    ({"questions": ["who?"] * 2, "k": [1, 2, 3]}, "")])
def test_what_the_graph_refuses_is_named(client, inputs, message):
  response = client.post("/v1/models/realm:predict",
                         json={"signature_name": "retrieve", "inputs": inputs})
  assert response.status_code == 400 and message in response.json()["error"], response.text
  assert not any(word in response.text for word in ("node", "File ", "Traceback", ".py"))
