"""`realm serve` as users start it: swaps under load, a broken version, signals, keys."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from realm_tf.server.client import KEY
from tests.command import realm
from tests.processes import LONG

_ROOT = pathlib.Path(__file__).parents[2]
_QUESTION = "what is the capital of france"


def _realm(*arguments, **environment):
  return [sys.executable, "-m", "realm_tf.cli.main", *map(str, arguments)], {
      **os.environ, "PYTHONPATH": str(_ROOT), **environment}


@contextlib.contextmanager
def _serving(*arguments):
  """A server's process and its address, once it answers."""
  port = [] if any(word.startswith("--port=") for word in arguments) else ["--port=0"]
  command, environment = _realm("serve", *port, "--poll_seconds=0.05", *arguments)
  with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True,
                        stderr=subprocess.PIPE) as process:
    try:
      line = process.stdout.readline()
      assert "answers at http://127.0.0.1:" in line, line + process.stderr.read()
      yield process, line.split()[-1]
    finally:
      process.kill()


def _post(address, path="/answer", question=_QUESTION):
  asked = json.dumps({"question": question}).encode()
  request = urllib.request.Request(address + path, asked)
  with urllib.request.urlopen(request, timeout=LONG) as response:
    return json.load(response)


def _states(address):
  with urllib.request.urlopen(f"{address}/v1/models/realm", timeout=LONG) as response:
    return {status["version"]: (status["state"], status["status"]["error_message"])
            for status in json.load(response)["model_version_status"]}


def _put(exported, base, number, broken=False):
  """A version appears whole, as `realm export` has it appear."""
  new = shutil.copytree(exported, base / f".{number}.new")
  if broken:
    (new / "variables" / "variables.index").write_bytes(b"")
  os.rename(new, base / str(number))


class _Askers:
  """Threads that ask without a pause until the server is stopped."""

  def __init__(self, address, count):
    self._address, self.stopping = address, threading.Event()
    self.found, self.failed = [], []
    self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
    for thread in self._threads:
      thread.start()

  def _ask(self):
    while True:
      try:
        record = _post(self._address)
      except OSError as error:
        if not self.stopping.is_set():
          self.failed.append(error)
        return
      self.found.append((int(record["version"]), record["answer"]))

  def join(self):
    for thread in self._threads:
      thread.join()


@pytest.mark.stress
def test_swaps_and_a_broken_version_under_load(exported, tmp_path):
  _put(exported, tmp_path, 1)
  with _serving(f"--model={tmp_path}") as (process, address):
    askers = _Askers(address, 8)
    for number in (2, 4):
      _put(exported, tmp_path, number)
      while _post(address)["version"] != str(number):
        assert not askers.failed
      if number == 2:
        _put(exported, tmp_path, 3, broken=True)
        while _states(address).get("3", ("", ""))[0] != "END":
          assert not askers.failed
        assert _states(address)["3"][1] and _states(address)["2"] == ("AVAILABLE", "")
        assert _post(address)["version"] == "2"
    askers.stopping.set()
    process.send_signal(signal.SIGTERM)
    askers.join()
    assert process.wait(LONG) == 0
    output, log = process.communicate()
  assert not askers.failed and "realm: stopped" in output
  versions = [version for version, _ in askers.found]
  assert set(versions) == {1, 2, 4} and len({answer for _, answer in askers.found}) == 1
  assert "version 3 is refused" in log and "version 2 stays" in log
  assert "Traceback" not in log


@pytest.mark.slow
def test_the_terminal(exported, tmp_path):
  keys = tmp_path / "keys"
  keys.write_text("a-key-of-16-letters\n")
  keys.chmod(0o600)
  with _serving(f"--model={exported.parent}", f"--api_keys={keys}") as (process, address):
    def ask(*arguments, key="a-key-of-16-letters", **more):
      command, environment = _realm("ask", f"--server={address}", *arguments, **{KEY: key})
      return subprocess.run(command, env=environment, capture_output=True, text=True,
                            check=False, **more)

    completed = ask("--json", "--top_n=2", _QUESTION, "Oslo")
    records = [json.loads(line) for line in completed.stdout.splitlines()]
    assert [record["question"] for record in records] == [_QUESTION, "Oslo"]
    assert not completed.stderr
    assert all(len(record["answers"]) == 2 for record in records)
    typed = ask("-", "--threshold=1", input=f"\n{_QUESTION}\n")
    assert typed.stdout.splitlines()[1] == f"Q: {_QUESTION}"
    assert "wanted 1.00" in typed.stdout and "\x1b" not in typed.stdout
    words = ask(_QUESTION).stdout
    assert records[0]["answer"] in words and "[[" in words
    for arguments, key, message in (
        ([_QUESTION], "wrong", "401: Expected an API key"), ([""], "wrong", "empty or blank"),
        (["--precision=0.99", "who?"], "a-key-of-16-letters", "400: precision 0.99")):
      refused = ask(*arguments, key=key)
      assert refused.returncode == 2 and message in refused.stderr
      assert len(refused.stderr.splitlines()) == 1 and not refused.stdout
    process.send_signal(signal.SIGINT)
    assert process.wait(LONG) == 0


@pytest.mark.slow
def test_a_killed_server_starts_again_at_its_port(exported):
  with _serving(f"--model={exported}") as (process, address):
    port, answer = address.rpartition(":")[2], _post(address)
    process.kill()
    process.wait(LONG)
  with _serving(f"--model={exported}", f"--port={port}") as (_, again):
    assert again == address and _post(again) == answer


@pytest.mark.slow
def test_what_cannot_be_served_is_one_line(exported, tmp_path, capsys):
  (tmp_path / "keys").write_text("short\n")
  with socket.create_server(("127.0.0.1", 0)) as listening:
    port = listening.getsockname()[1]
    for arguments, message in (
        ([f"--model={tmp_path}"], "no export there"), ([], "--model is missing"),
        ([f"--model={exported}", f"--port={port}"], "cannot listen there (Address already"),
        ([f"--model={exported}", "--host=no.such.host.invalid"], "cannot listen there"),
        ([f"--model={exported}", f"--api_keys={tmp_path / 'keys'}"], "keys:1: no API key"),
        ([f"--model={exported}", f"--workdir={tmp_path}"], "give one of both"),
        ([f"--model={exported}", "--request_timeout=nan"], "--request_timeout=nan: expected"),
        ([f"--model={exported}", "--poll_seconds=inf"], "--poll_seconds=inf: expected"),
        ([f"--model={exported}", "--name=a/b"], "--name=a/b")):
      assert realm("serve", *arguments) == 2
      line = capsys.readouterr().err.splitlines()[-1]
      assert line.startswith("realm: ") and message in line
