"""A model whose reader was never trained: passages everywhere, answers nowhere."""

import asyncio
import json

import pytest

import realm_tf
from realm_tf.errors import UserError
from realm_tf.report.answers import NO_READER
from realm_tf.run import ask
from realm_tf.server.client import ask_server
from realm_tf.server.process import Address, running
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.source import FolderSource
from realm_tf.serving import saved_model as serving
from realm_tf.serving import warmup
from tests.server.conftest import client_of, listening

pytestmark = pytest.mark.slow

_QUESTION = "what is the capital of france"


@pytest.fixture(name="unread", scope="module")
def _unread(answerer, tmp_path_factory):
  return serving.export(answerer, tmp_path_factory.mktemp("unread") / "export", reads=False)


@pytest.fixture(name="client", scope="module")
def _client(unread):
  with client_of(unread) as client:
    yield client


@pytest.fixture(name="texts", scope="module")
def _texts(exported):
  """Of the passages that are to be found."""
  return [passage["passage"] for passage in realm_tf.load(exported).retrieve(_QUESTION, 5)[0]]


def test_search_and_no_answer(client, texts):
  refused = client.post("/answer", json={"question": _QUESTION})
  assert refused.status_code == 409 and set(refused.json()) == {"error"}
  assert NO_READER in refused.json()["error"]
  results = client.post("/search", json={"question": _QUESTION}).json()
  assert [passage["passage"] for passage in results["passages"]] == texts
  assert client.get("/v2/health/ready").status_code == 200


def test_tensorflow_servings_protocol(client, texts):
  ask_answer = {"signature_name": "answer", "instances": [_QUESTION]}
  refused = client.post("/v1/models/realm:predict", json=ask_answer)
  assert refused.status_code == 400 and NO_READER in refused.json()["error"]
  prediction, = client.post("/v1/models/realm:predict",
                            json={"instances": [_QUESTION]}).json()["predictions"]
  assert prediction["passage"] == texts and "answer" not in prediction
  listed = client.get("/v1/models/realm/metadata").json()["metadata"]["signature_def"]
  assert set(listed["signature_def"]) == {"serving_default", "retrieve", "embed",
                                          "embed_documents"}


def test_kserves_protocol(client, texts):
  inputs = [{"name": "questions", "datatype": "BYTES", "shape": [1], "data": [_QUESTION]}]
  refused = client.post("/v2/models/realm/infer", json={
      "inputs": inputs, "parameters": {"signature_name": "answer"}})
  assert refused.status_code == 400 and NO_READER in refused.json()["error"]
  outputs = client.post("/v2/models/realm/infer", json={"inputs": inputs}).json()["outputs"]
  assert texts in [output["data"] for output in outputs]
  assert "answer" not in [output["name"] for output in outputs]


def test_assistants_are_told_to_search(client, unread):
  mcp = pytest.importorskip("mcp")
  del client
  from realm_tf.server.mcp_tools import make_tools
  from realm_tf.server.process import loaded
  from realm_tf.server.prometheus import Gauges
  from realm_tf.server.question_requests import QuestionRequest

  async def call(service):
    async with mcp.Client(make_tools(QuestionRequest(service), "realm")) as tools:
      return (await tools.call_tool("answer", {"question": _QUESTION}),
              await tools.call_tool("search", {"question": _QUESTION}))

  with loaded(FolderSource(unread), "DIR", Address(poll_seconds=3600), Batching(), Limits(),
              Gauges()) as service:
    refused, searched = asyncio.run(call(service))
  assert refused.is_error and NO_READER in refused.content[0].text
  assert len(searched.structured_content["passages"]) == 5


def test_the_terminal(unread, texts, capsys):
  with (running(FolderSource(unread), "DIR", Address(poll_seconds=3600), Batching(),
                Limits()) as app, listening(app) as port):
    for tell in (lambda as_json: ask_server(f"localhost:{port}", [_QUESTION], as_json,
                                            top_n=2, threshold=0.5),
                 lambda as_json: ask.by_export(unread, as_json)([_QUESTION])):
      tell(True)
      printed = capsys.readouterr()
      record = json.loads(printed.out)
      assert record["answer"] == "" and record["answerable"] is False
      assert [passage["text"] for passage in record["passages"]] == texts
      assert NO_READER in printed.err
      tell(False)
      printed = capsys.readouterr()
      assert NO_READER in printed.err and "A:" not in printed.out
      assert f"Q: {_QUESTION}" in printed.out and texts[0][:30] in printed.out


def test_the_export_itself(unread, tmp_path):
  model = realm_tf.load(unread)
  assert not model.reads and len(model.retrieve(_QUESTION, 3)[0]) == 3
  with pytest.raises(UserError, match="no reader is trained yet"):
    model.answer(_QUESTION)
  model.check()
  expected = json.loads((unread / warmup.ANSWERS).read_text())
  assert "answers" not in expected and len(expected["passages"]) == 16
  model.folder = tmp_path
  (tmp_path / warmup.ANSWERS).parent.mkdir()
  expected["passages"][3] = [row for row in range(25) if row not in expected["passages"][3]]
  (tmp_path / warmup.ANSWERS).write_text(json.dumps(expected))
  with pytest.raises(UserError, match="does not find what it found when it was written"):
    model.check()
