"""What `realm ask --server` sends, and what it shows of the key: nothing."""

import http.server
import json
import threading

import pytest

from realm_tf.errors import UserError
from realm_tf.report.answers import NOT_CALIBRATED
from realm_tf.server.client import KEY, ask_server

_SECRET = "a-key-of-16-letters"


class _Handler(http.server.BaseHTTPRequestHandler):
  """Answers as realm serve does; `/elsewhere/answer` leads to `/answer`, behind `/page` is
  another server, and behind `/cut` a proxy whose answer breaks off."""

  def do_POST(self):  # pylint: disable=invalid-name
    self.rfile.read(int(self.headers.get("content-length", 0)))
    self.server.seen.append((self.path, self.headers.get("x-api-key")))
    elsewhere = self.path.startswith("/elsewhere")
    if self.path.startswith(("/page", "/cut")):
      self.send_response(200 if self.path.startswith("/page") else 502)
      self.send_header("content-length", "100" if self.path.startswith("/cut") else "6")
      self.end_headers()
      self.wfile.write(b"<html>")
      return
    self.send_response(302 if elsewhere else 200)
    if elsewhere:
      self.send_header("location", "/answer")
    self.end_headers()
    if not elsewhere:
      self.wfile.write(json.dumps({"answer": "Paris", **self.server.more}).encode())

  do_GET = do_POST  # what urllib makes of a redirected question

  def log_message(self, *args):  # pylint: disable=arguments-differ
    pass


@pytest.fixture(name="server")
def _server():
  with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as server:
    server.seen, server.more = [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()


def _ask(server, path=""):
  ask_server(f"127.0.0.1:{server.server_port}{path}", ["who?"], as_json=True)


@pytest.mark.parametrize("more, said", [
    ({"calibrated": False}, 1), ({"calibrated": True}, 0), ({}, 0)])
def test_what_is_not_calibrated_is_said_once(server, capsys, more, said):
  server.more = more
  ask_server(f"127.0.0.1:{server.server_port}", ["who?", "where?"], as_json=True)
  assert capsys.readouterr().err.count(NOT_CALIBRATED) == said
  assert len(server.seen) == 2


@pytest.mark.parametrize("value, sent", [
    (None, None), ("", None), (" \n", None), (_SECRET, _SECRET), (f"{_SECRET}\r\n", _SECRET),
    (f" {_SECRET}\r", _SECRET)])
def test_the_key_of_the_environment_is_sent(server, monkeypatch, capsys, value, sent):
  monkeypatch.delenv(KEY, raising=False)
  if value is not None:
    monkeypatch.setenv(KEY, value)
  _ask(server)
  assert json.loads(capsys.readouterr().out) == {"answer": "Paris"}
  assert server.seen == [("/answer", sent)]


@pytest.mark.parametrize("value", [
    f"{_SECRET}\r\nx: y", f"{_SECRET}-ключ", f"{_SECRET}-ü", f"{_SECRET}\udcff",
    f"{_SECRET} a"])
def test_what_is_no_key_is_refused_and_not_shown(server, monkeypatch, value):
  monkeypatch.setenv(KEY, value)
  with pytest.raises(UserError, match=f"^{KEY} is no API key: expected printable") as error:
    _ask(server)
  assert _SECRET not in str(error.value) and not server.seen


def test_a_key_is_sent_nowhere_else(server, monkeypatch):
  monkeypatch.setenv(KEY, _SECRET)
  with pytest.raises(UserError, match="302: it leads to /answer; ask there"):
    _ask(server, "/elsewhere")
  assert [path for path, _ in server.seen] == ["/elsewhere/answer"]


def test_a_password_in_the_address_is_not_shown():
  with pytest.raises(UserError, match="expected an address without a user") as error:
    ask_server(f"http://me:{_SECRET}@127.0.0.1:1", ["who?"], as_json=True)
  assert _SECRET not in str(error.value)


@pytest.mark.parametrize("port", ["99999", "0", "x", "-1"])
def test_a_port_that_none_can_have_is_told(port):
  with pytest.raises(UserError, match=f"--server=http://localhost:{port}: expected a host"):
    ask_server(f"localhost:{port}", ["who?"], as_json=True)


@pytest.mark.parametrize("path, said", [
    ("/page", "its answer is none of realm serve's"),
    ("/cut", ": 502: Bad Gateway")])
def test_what_is_no_answer_of_ours_is_told_once(server, path, said):
  with pytest.raises(UserError) as caught:
    _ask(server, path)
  message = str(caught.value)
  assert message.endswith(said) and message.count(f":{server.server_port}{path}/answer") == 1
