"""Records of the commands that write into a run's folder."""

import json
import subprocess

import numpy as np
import tensorflow as tf

import realm_tf
from realm_tf import config as config_lib
from realm_tf.run import history
from tests import tiny
from tests.command import realm


def test_a_record_says_what_ran_and_where(tmp_path):
  history.record_command(tmp_path, ["pretrain", "--workdir=x y"])
  history.record_command(tmp_path, ["evaluate"])
  first, second = sorted(history.command_records(tmp_path),
                         key=lambda record: -len(record["command"]))
  assert first["command"] == ["realm", "pretrain", "--workdir=x y"]
  assert second["command"] == ["realm", "evaluate"]
  assert first["versions"]["tensorflow"] == tf.__version__
  assert first["versions"]["numpy"] == np.__version__
  assert first["versions"]["realm_tf"] == realm_tf.__version__
  assert {"scann", "tensorflow-text", "tensorflow-recommenders", "python"} <= set(
      first["versions"])
  assert any(device.startswith("CPU:0") for device in first["devices"])
  assert first["processor"] and first["started"].endswith("+00:00")


def test_credentials_in_the_environment_are_not_recorded(tmp_path, monkeypatch):
  monkeypatch.setenv("TF_TOKEN_host", "secret")
  monkeypatch.setenv("TF_CONFIG", "{}")
  history.record_command(tmp_path, ["ict"])
  environment = history.command_records(tmp_path)[0]["environment"]
  assert environment["TF_CONFIG"] == "{}" and "secret" not in str(environment)


def _git(folder, *words):
  subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b",
                  *words], check=True, capture_output=True)


def test_the_commit_is_that_of_the_source_and_changes_are_told(tmp_path):
  package = tmp_path / "package"
  package.mkdir()
  (package / "__init__.py").write_text("")
  assert history.source(package) == {"git": None, "modified": None}
  _git(tmp_path, "init")
  # A repository around it which does not know it, as around a virtual environment.
  _git(tmp_path, "commit", "--allow-empty", "-m", "nothing")
  assert history.source(package)["git"] is None
  _git(tmp_path, "add", ".")
  _git(tmp_path, "commit", "-m", "all")
  source = history.source(package)
  assert len(source["git"]) == 40 and source["modified"] is False
  (package / "__init__.py").write_text("changed")
  assert history.source(package)["modified"] is True


def test_a_refused_command_leaves_no_record(tmp_path):
  config = tmp_path / "config.json"
  documents = tmp_path / "documents.jsonl"
  documents.write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  config.write_text(json.dumps(config_lib.to_dict(
      tiny.make_config(tmp_path, corpus__source=str(documents)))))
  folder = tmp_path / "run"
  assert realm("corpus", f"--config={config}", f"--workdir={folder}") == 0
  assert realm("corpus", f"--config={config}", f"--workdir={folder}",
               "--config.corpus.max_block_tokens=32") == 2
  commands = [json.loads(path.read_text())["command"]
              for path in (folder / "commands").iterdir()]
  assert [command[1] for command in commands] == ["corpus"]
  assert "--config.corpus.max_block_tokens=32" not in commands[0]
