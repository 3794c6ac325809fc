"""Who may ask, how much, and what nobody is told."""

import asyncio
import concurrent.futures
import contextlib
import re
import socket
import threading

import httpx2
import pytest
from starlette.testclient import TestClient

from realm_tf.errors import UserError
from realm_tf.server.app import make_app
from realm_tf.server.batching import Batcher
from realm_tf.server.connections import ImpatientProtocol
from realm_tf.server.guard import HEADERS, OPEN
from realm_tf.server.keys import read_keys
from realm_tf.server.process import http_server
from realm_tf.server.prometheus import Gauges
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.service import Service
from tests.server.conftest import listening

_KEYS = ("correct-horse-battery", "0123456789abcdef")
_PASSAGE = {"row": 0, "score": 1.0, "title": "<b>", "passage": "<script>", "passage_id": "x"}


class _Model:
  """Stands for a loaded version: echoes, fails or waits, as the question says."""
  number, signatures, mark, reads = 1, {}, (), True

  def __init__(self):
    self.reached, self.opened = threading.Semaphore(0), threading.Event()

  def answer(self, questions, passages, **wanted):
    if "fail" in questions:
      raise RuntimeError("secret: a stack at /a/path.py line 3")
    if "wait" in questions:
      self.reached.release()
      assert self.opened.wait(60)
    return [{"answer": question, "probability": 1.0, **wanted,
             "passages": [_PASSAGE] * passages} for question in questions]


class _Lifecycle:
  is_ready = True

  def __init__(self):
    self.current = _Model()

  def states(self):
    return []


@pytest.fixture(name="make")
def _make():
  servers = []

  def make(keys=(), hosts=("127.0.0.1",), batching=None, raises=False, **limits):
    lifecycle = _Lifecycle()
    batcher = Batcher(batching or Batching())
    servers.append((lifecycle, batcher))
    app = make_app(Service("realm", lifecycle, batcher, Limits(**limits)), Gauges(), keys,
                   hosts)
    client = TestClient(app, base_url="http://localhost:8501", raise_server_exceptions=raises)
    client.model = lifecycle.current
    return client
  yield make
  for lifecycle, batcher in servers:
    lifecycle.current.opened.set()
    batcher.close()


def _ask(client, question="who?", **more):
  return client.post("/answer", json={"question": question}, **more)


@pytest.fixture(name="keys")
def _keys(tmp_path):
  path = tmp_path / "keys"
  path.write_text(f"# ours\n\n  {_KEYS[0]}  \n{_KEYS[1]}\n")
  return read_keys(path)


@pytest.mark.parametrize("headers, code", [
    ({}, 401), ({"authorization": f"Bearer {_KEYS[0]}"}, 200),
    ({"authorization": f"bearer  {_KEYS[1]} "}, 200), ({"x-api-key": _KEYS[0]}, 200),
    ({"x-api-key": _KEYS[0][:-1]}, 401), ({"x-api-key": _KEYS[0] + "x"}, 401),
    ({"x-api-key": "# ours"}, 401), ({"x-api-key": ""}, 401),
    ({"authorization": "Bearer "}, 401), ({"authorization": f"Basic {_KEYS[0]}"}, 401),
    ({"authorization": f"Bearer {_KEYS[0]},{_KEYS[1]}"}, 401),
    ({"x-api-key": "é".encode()}, 401)])
def test_a_key_is_asked_for(make, keys, headers, code):
  response = _ask(make(keys), headers=headers)
  assert response.status_code == code
  if code == 401:
    assert response.headers["www-authenticate"] == "Bearer"
    assert set(response.json()) == {"error"}
    assert not any(key in response.text for key in _KEYS)


def test_what_is_open_without_a_key_says_nothing_of_the_documents(make, keys):
  client = make(keys)
  for path in OPEN:
    assert client.get(path).status_code == 200, path
  for path in ("/search", "/v1/models/realm", "/v2/models/realm", "/nothing", "/V2",
               "/monitoring/prometheus/metrics", "/answer/", "/page.css/"):
    assert client.get(path).status_code == 401, path


@pytest.mark.parametrize("verb, path, code, message", [
    ("get", "/answer", 405, 'expected POST with {"question": "..."}; see /docs'),
    ("put", "/search", 405, 'PUT is not for this path: expected POST with {"question": '),
    ("get", "/mcp", 405, "GET is not for this path: expected POST; see /docs"),
    ("delete", "/docs", 405, "DELETE is not for this path: expected GET"),
    ("post", "/ask", 404, "no such path; see /docs")])
def test_a_path_that_takes_something_else_says_what(make, verb, path, code, message):
  response = getattr(make(), verb)(path)
  assert response.status_code == code and message in response.json()["error"]


@pytest.mark.parametrize("host, shown", [
    ("localhost:9", "localhost:9"), ("[::1]:9", "[::1]:9"),
    ("localhost:$(x)", "localhost:8501"), ("localhost:\"<b>", "localhost:8501")])
def test_pages_name_no_port_but_that_of_the_server(make, host, shown):
  text = make().get("/docs", headers={"host": host}).text
  assert f"curl {shown}/answer -d " in text and "this server" not in text
  assert text.count("curl ") == text.count(f"curl {shown}/")
  assert "8501" not in make().get("/").text


def test_a_file_of_keys_may_come_from_windows(tmp_path, keys):
  (tmp_path / "keys").write_bytes(f"\ufeff{_KEYS[0]}\r\n\r\n{_KEYS[1]}\r\n".encode())
  assert read_keys(tmp_path / "keys") == keys


@pytest.mark.parametrize("content, message", [
    ("", "no API key in it"), ("# none\n", "no API key in it"), ("short\n", "keys:1: no API"),
    (f"{_KEYS[0]}\nwith a space in it\n", "keys:2: no API key"),
    (f"{_KEYS[0]}\n\nschlüssel-schlüssel\n", "keys:3: no API key"), (None, "cannot be read")])
def test_a_file_of_keys_that_cannot_be_meant(tmp_path, content, message):
  if content is not None:
    (tmp_path / "keys").write_text(content)
  with pytest.raises(UserError, match=message) as error:
    read_keys(tmp_path / "keys")
  assert "space in it" not in str(error.value) and "schl" not in str(error.value)


@pytest.mark.parametrize("host, code", [
    ("localhost:8501", 200), ("127.0.0.1", 200), ("127.9.9.9:1", 200), ("[::1]:8501", 200),
    ("LOCALHOST", 200), ("evil.example", 403), ("localhost.evil.example", 403), ("", 403),
    ("0.0.0.0", 403), ("[::1", 200), ("my.example:99", 200)])
def test_a_server_on_loopback_answers_to_its_own_name(make, host, code):
  # A page from elsewhere can have its name resolve to 127.0.0.1: the Host header tells.
  client = make(hosts=("127.0.0.1", "my.example"))
  assert _ask(client, headers={"host": host}).status_code == code
  assert make(hosts=()).post("/answer", json={"question": "who?"},
                             headers={"host": host}).status_code == 200


def test_every_response_has_its_headers(make):
  client = make()
  assert HEADERS["x-content-type-options"] == "nosniff"
  policy = HEADERS["content-security-policy"]
  assert policy.startswith("default-src 'none'; script-src 'self';")
  assert "unsafe" not in policy
  for response in (client.get("/"), client.get("/docs"), client.get("/nothing"), _ask(client),
                   _ask(client, "fail"), _ask(client, headers={"host": "evil"}),
                   client.get("/answer"), client.get("/v1/foo"), client.get("/page.js")):
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "server" not in response.headers


def test_the_pages_have_no_inline_code_and_nothing_from_elsewhere(make):
  client = make()
  for path in ("/", "/docs"):
    page = client.get(path).text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert not re.search(r"""(src|href)=["'](?!/)(?!#)""", page)
    assert not re.search(r"""(src|href)=["']//""", page)
  assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(",
                       client.get("/page.js").text)
  assert not re.search(r"url\(|@import", client.get("/page.css").text)


def test_nothing_is_told_of_where_it_failed(make):
  response = _ask(make(), "fail")
  assert response.status_code == 500
  assert response.json() == {"error": "Internal error; the server's log says more"}


def test_limits_of_a_body(make):
  client = make(max_body_bytes=100)
  assert client.post("/answer", content=b" " * 101).status_code == 413
  assert client.post("/answer", content=iter([b" " * 60] * 2)).status_code == 413
  response = client.post("/v1/models/realm:predict", content=b" " * 101)
  assert response.status_code == 413 and "longer than 100 bytes" in response.json()["error"]
  assert _ask(client).status_code == 200


def _status_of(client, receive):
  """Straight from the application: the client of the tests sends bodies whole."""
  sent = []

  async def send(message):
    sent.append(message)

  scope = {"type": "http", "method": "POST", "path": "/answer", "raw_path": b"/answer",
           "headers": [(b"host", b"localhost")], "query_string": b"", "state": {}}
  asyncio.run(client.app(scope, receive, send))
  return sent[0]["status"]


def test_a_body_that_never_comes(make):
  async def receive():
    await asyncio.Event().wait()
  assert _status_of(make(request_timeout=0.01), receive) == 504


def test_a_client_that_goes_before_its_body_is_there_is_no_error_of_the_server(make, caplog):
  messages = iter([{"type": "http.request", "body": b"{", "more_body": True},
                   {"type": "http.disconnect"}])

  async def receive():
    return next(messages)
  assert _status_of(make(), receive) == 499 and not caplog.records


def test_connections_that_do_not_ask_are_closed(make, monkeypatch):
  monkeypatch.setattr(ImpatientProtocol, "HEAD_SECONDS", 0.2)
  client = make()
  request = (b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s")
  with listening(client.app) as port:
    for begun in (b"", b"POST /answer HTTP/1.1\r\nHost:"):
      with socket.create_connection(("127.0.0.1", port), 60) as idle:
        idle.sendall(begun)
        assert idle.recv(100) == b""
    asked = b'{"question": "wait"}'
    with socket.create_connection(("127.0.0.1", port), 60) as asking:
      asking.sendall(request % (len(asked), asked))
      assert client.model.reached.acquire(timeout=60)
      with socket.create_connection(("127.0.0.1", port), 60) as idle:
        assert idle.recv(100) == b""  # as late as that, the other one is still open
      client.model.opened.set()
      assert asking.recv(10_000).startswith(b"HTTP/1.1 200")
      asking.sendall(b"POST")
      while told := asking.recv(10_000):  # what is left of the answer
        assert b"HTTP/1.1" not in told


def test_a_request_that_takes_too_long(make):
  response = _ask(make(request_timeout=0.01), "wait")
  assert response.status_code == 504 and "longer than 0.01 s" in response.json()["error"]


def test_a_full_queue_is_429(make):
  client = make(batching=Batching(max_batch_size=1, max_enqueued_batches=1))
  answers = []
  threads = [threading.Thread(target=lambda question: answers.append(
      _ask(client, question).status_code), args=(question,)) for question in ("wait", "next")]
  threads[0].start()
  assert client.model.reached.acquire(timeout=60)
  threads[1].start()
  while not _waits(client):
    pass
  full = _ask(client, "third")
  assert full.status_code == 429 and full.headers["retry-after"] == "1"
  client.model.opened.set()
  for thread in threads:
    thread.join()
  assert answers == [200, 200]


def _waits(client):
  page = client.get("/monitoring/prometheus/metrics").text
  return "realm_queue_rows 1.0" in page


def test_limits_of_questions_and_passages(make):
  client = make(max_questions=2, max_passages=10)
  many = client.post("/answer", json={"questions": ["a"] * 3})
  assert many.status_code == 400 and "3 questions" in many.json()["error"]
  much = client.post("/answer", json={"questions": ["a"] * 2, "passages": 6})
  assert much.status_code == 400 and "12 passages" in much.json()["error"]
  assert client.post("/answer", json={"questions": ["a"] * 2, "passages": 5}
                     ).status_code == 200


def test_a_server_that_is_stopped_finishes_what_it_accepted(make):
  client = make()
  with (socket.create_server(("127.0.0.1", 0)) as listener,
        concurrent.futures.ThreadPoolExecutor(2) as pool):
    address = listener.getsockname()
    server = http_server(client.app, 30)
    running = pool.submit(server.run, sockets=[listener])
    asked = pool.submit(httpx2.post, f"http://127.0.0.1:{address[1]}/answer",
                        json={"question": "wait"}, timeout=60)
    assert client.model.reached.acquire(timeout=60)
    server.should_exit = True  # as SIGTERM says
    with contextlib.suppress(ConnectionError):
      while True:  # until nothing new is accepted; a full queue has it wait and try again
        socket.create_connection(address, 60).close()
    assert not asked.done() and not running.done()
    client.model.opened.set()
    assert asked.result(60).json()["answer"] == "wait"
    running.result(60)
