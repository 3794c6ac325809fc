"""Assistants ask by the Model Context Protocol: its own client, over HTTP and over pipes."""

import asyncio
import contextlib
import hashlib
import os
import pathlib
import sys

import httpx2
import pytest

import realm_tf

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters  # pylint: disable=wrong-import-position
from mcp.client.streamable_http import streamable_http_client

from realm_tf.server.process import Address, running
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.source import FolderSource
from tests.server.conftest import listening

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[2]
_QUESTION = "what is the capital of france"
_KEY = "a-key-of-16-letters"


@pytest.fixture(name="address", scope="module")
def _address(exported):
  """Of a server that listens, and wants a key."""
  keys = (hashlib.sha256(_KEY.encode()).digest(),)
  with (running(FolderSource(exported), str(exported), Address(poll_seconds=3600),
                Batching(), Limits(max_body_bytes=5000), keys) as app,
        listening(app) as port):
    yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(name="model", scope="module")
def _model(exported):
  return realm_tf.load(exported)


@contextlib.asynccontextmanager
async def _over_http(address, **options):
  async with (httpx2.AsyncClient(headers={"Authorization": f"Bearer {_KEY}"}) as http,
              Client(streamable_http_client(address, http_client=http), **options) as client):
    yield client


def _over_pipes(exported):
  return Client(StdioServerParameters(
      command=sys.executable, args=["-m", "realm_tf.cli.main", "mcp", f"--model={exported}"],
      env={**os.environ, "PYTHONPATH": str(_ROOT)}))


async def _check_tools(client, model):
  """Both tools are described, answer as the export does, and say what they cannot do."""
  tools = {tool.name: tool for tool in (await client.list_tools()).tools}
  assert set(tools) == {"answer", "search"}
  for tool in tools.values():
    assert tool.description and tool.annotations.read_only_hint
    assert tool.input_schema["required"] == ["question"] and tool.output_schema
  expected = model.answer(_QUESTION, top_n=2)[0]
  answered = await client.call_tool("answer", {"question": _QUESTION, "top_n": 2,
                                               "passages": 3})
  assert not answered.is_error and expected["answer"] in answered.content[0].text
  record = answered.structured_content
  for name in ("answer", "title", "passage", "passage_id", "answerable"):
    assert record[name] == expected[name]
  assert [entry["answer"] for entry in record["answers"]] == [
      entry["answer"] for entry in expected["answers"]]
  assert record["probability"] == pytest.approx(expected["probability"], abs=1e-4)
  unsure = await client.call_tool("answer", {"question": _QUESTION, "threshold": 1.0})
  assert not unsure.structured_content["answerable"]
  searched = await client.call_tool("search", {"question": _QUESTION, "k": 3})
  passages = searched.structured_content["passages"]
  assert passages == record["passages"] and [entry["passage"] for entry in passages] == [
      entry["passage"] for entry in model.retrieve(_QUESTION, 3)[0]]
  for name, arguments, message in (
      ("answer", {"question": " "}, "empty or blank"),
      ("answer", {"question": "who?", "top_n": 0}, "top_n"),
      ("search", {"question": "who?", "k": 101}, "k"), ("search", {}, "question"),
      ("none", {}, "none")):
    refused = await client.call_tool(name, arguments)
    assert refused.is_error and message in refused.content[0].text, refused
    assert "Traceback" not in refused.content[0].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_over_http(model, address, mode):
  async def ask():
    async with _over_http(address, mode=mode) as client:
      await _check_tools(client, model)
  asyncio.run(ask())


def test_over_pipes(exported, model):
  async def ask():
    async with _over_pipes(exported) as client:
      await _check_tools(client, model)
  asyncio.run(ask())


_CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
_HEADERS = {"X-API-Key": _KEY, "Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize("headers, code", [
    ({}, 200), ({"X-API-Key": "wrong"}, 401), ({"Host": "evil.example"}, 403),
    ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Origin": "http://["}, 403), ({"Origin": "http://localhost:3000"}, 200)])
def test_who_may_call(address, headers, code):
  response = httpx2.post(address, json=_CALL, headers={**_HEADERS, **headers})
  assert response.status_code == code, response.text
  assert code == 200 or set(response.json()) == {"error"}


def test_what_is_no_call_is_refused(address):
  long = httpx2.post(address, json={**_CALL, "params": {"x": "y" * 5000}}, headers=_HEADERS)
  assert long.status_code == 413 and "longer than 5000 bytes" in long.json()["error"]
  assert httpx2.get(address, headers=_HEADERS).status_code == 405
  for content in (b"", b"{", b"[]", b"\xff", b'{"jsonrpc": "2.0"}'):
    response = httpx2.post(address, content=content, headers={
        **_HEADERS, "Content-Type": "application/json"})
    assert response.status_code == 400, (content, response.text)
