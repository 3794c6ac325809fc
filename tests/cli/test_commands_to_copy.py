"""A command that is printed can be pasted into a shell, whatever the paths in it are."""

import dataclasses
import re
import shlex

import pytest

from realm_tf import config as config_lib
from realm_tf.errors import UserError
from realm_tf.models import limits
from realm_tf.report import page
from realm_tf.run import claim, comparing, used, worth
from tests.command import realm

_ODD = "it's a run; with spaces"


def _words(text, command):
  """The words that a shell makes of the command in backquotes, or of its line."""
  return shlex.split(re.search(rf"^ *({command}.*)$|`({command}[^`]*)`", text,
                               re.MULTILINE).group().strip(" `"))


def test_init(tmp_path, capsys):
  (tmp_path / "a.txt").write_text("A text.")
  assert realm("init", tmp_path / _ODD, f"--documents={tmp_path}/a.txt") == 0
  said = capsys.readouterr().out
  assert _words(said, "realm run")[:3] == ["realm", "run", f"--workdir={tmp_path}/{_ODD}"]
  assert _words(said, "realm search")[2:4] == [f"--workdir={tmp_path}/{_ODD}", "..."]


def test_compare(tmp_path):
  (tmp_path / _ODD).mkdir()
  (tmp_path / _ODD / "config.json").write_text("{}")
  with pytest.raises(UserError) as caught:
    comparing.named_predictions(tmp_path / _ODD, None)
  assert _words(str(caught.value), "realm evaluate") == [
      "realm", "evaluate", f"--workdir={tmp_path}/{_ODD}"]


def test_documents_that_changed(tmp_path, monkeypatch):
  documents = f"{tmp_path}/{_ODD}.jsonl"
  config = config_lib.with_changes(config_lib.from_dict({}), {"corpus.source": documents})
  monkeypatch.setattr(limits, "check_weights", lambda _: None)
  claim.claim(config, tmp_path)
  monkeypatch.setattr(used, "affected", lambda *_: {"corpus": ["corpus.source"]})
  monkeypatch.setattr(used, "is_there", lambda *_: True)
  with pytest.raises(UserError) as caught:
    claim.claim(config, tmp_path, makes=("corpus",))
  assert _words(str(caught.value), "realm add")[2:] == [
      f"--workdir={tmp_path}", f"--documents={documents}"]


def test_a_stage_that_lost(tmp_path, monkeypatch, caplog):
  @dataclasses.dataclass
  class _Run:
    path = tmp_path / _ODD

    def questions(self, part):
      del part
      return []

  monkeypatch.setattr(worth, "warnings", lambda *_: ["after dpr recall@5 is lower"])
  worth.warn(_Run(), "dpr")
  assert _words(caplog.text, "realm run")[2] == f"--workdir={tmp_path}/{_ODD}"


def test_the_report():
  words = ["realm", "run", f"--workdir={_ODD}"]
  shown = page.commands([{
      "started": "", "command": words, "versions": {}, "processor": "", "processors": 1,
      "source": {"git": None}, "memory_gb": 1.0, "devices": [], "system": "",
      "environment": {}}])
  text = re.search("<code>(.*?)</code>", shown)[1].replace("&#x27;", "'").replace(
      "&quot;", '"').replace("&lt;", "<").replace("&amp;", "&")
  assert shlex.split(text) == words
