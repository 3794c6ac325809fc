"""Where paths lead, wherever one stands and wherever a run is moved."""

import json
import shutil

import pytest

from realm_tf import config as config_lib
from realm_tf.run import stages
from realm_tf.run.folder import Run
from tests import tiny
from tests.command import realm


@pytest.fixture(name="project")
def _project(tmp_path, monkeypatch):
  """A folder with documents, weights and a config that names both by relative paths."""
  project = tmp_path / "project"
  tiny.write_bert(project / "weights" / "bert")
  (project / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  tree = config_lib.to_dict(tiny.make_config(tmp_path))
  for field, value in {"corpus.source": "documents.jsonl",
                       "retriever.weights": "{data}/bert", "encoder.weights": "{data}/bert",
                       "data": "weights"}.items():
    config_lib.set_field(tree, field, value)
  (project / "config.json").write_text(json.dumps(tree))
  elsewhere = tmp_path / "elsewhere"
  elsewhere.mkdir()
  (elsewhere / "documents.jsonl").write_text('{"id": "x", "text": "Not this one."}\n')
  monkeypatch.chdir(elsewhere)
  return project


def test_paths_are_below_the_folder_of_the_config(project, tmp_path):
  config = config_lib.read(project / "config.json")
  assert config.corpus.source == str(project / "documents.jsonl")
  assert config.retriever.weights == str(project / "weights" / "bert")
  assert realm("corpus", f"--config={project}/config.json", "--workdir=run") == 0
  assert Run.existing(tmp_path / "elsewhere" / "run").corpus.num_blocks == 25
  # Those of flags are below the current directory.
  assert realm("corpus", f"--config={project}/config.json", "--workdir=other",
               "--config.corpus.source=documents.jsonl") == 0
  assert Run.existing("other").corpus.num_blocks == 1


def test_a_run_that_is_copied_or_moved_is_the_same_run(project, tmp_path, monkeypatch):
  run = project / "run"
  shutil.copytree(project / "weights", run / "weights")
  tree = json.loads((project / "config.json").read_text()) | {"data": str(run / "weights")}
  (project / "config.json").write_text(json.dumps(tree))
  assert realm("corpus", f"--config={project}/config.json", f"--workdir={run}") == 0
  written = json.loads((run / "config.json").read_text())
  assert written["data"] == "weights" and written["encoder"]["weights"] == "{data}/bert"
  shutil.copytree(run, tmp_path / "copy")
  shutil.move(run, tmp_path / "moved")
  shutil.rmtree(project)
  monkeypatch.chdir("/")
  for place in ("copy", "moved"):
    opened = Run.existing(tmp_path / place)
    assert opened.config.encoder.weights == str(tmp_path / place / "weights" / "bert")
    assert opened.search(["What is the capital of France?"], 3)
    assert realm("corpus", f"--workdir={tmp_path}/{place}", "--config.name=new") == 0


def test_assets_are_in_the_cache_of_whoever_uses_the_run(tmp_path, monkeypatch):
  cache = tmp_path / "a" / "realm_tf"
  tiny.write_bert(cache / "bert")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
  tree = config_lib.to_dict(tiny.make_config(
      tmp_path, corpus__source=str(tmp_path / "d.jsonl")))
  for part in ("retriever", "encoder"):
    tree[part]["weights"] = "{data}/bert"
  (tmp_path / "d.jsonl").write_text('{"id": "x", "text": "Paris is old."}')
  run = Run(config_lib.from_dict(tree), tmp_path / "run")
  stages.corpus(run)
  run.stored_index(run.model("warm start"))  # which is made of these weights
  shutil.move(cache.parent, tmp_path / "b")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
  opened = Run.existing(tmp_path / "run")  # which depends on no setting that has changed
  assert opened.config.encoder.weights == f"{tmp_path}/b/realm_tf/bert"
  Run(config_lib.with_changes(opened.config, {"name": "new"}), opened.path)


def test_a_run_of_before_has_paths_from_where_it_was_made(tmp_path, monkeypatch):
  tiny.write_bert(tmp_path / "data" / "bert")
  tree = config_lib.to_dict(tiny.make_config(tmp_path))
  tree |= {"data": "data"}
  tree["encoder"]["weights"] = "data/bert"
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "config.json").write_text(json.dumps(tree))
  monkeypatch.chdir(tmp_path)
  config = config_lib.read_folder("run")
  assert config.encoder.weights == str(tmp_path / "data" / "bert")
  assert config.data == str(tmp_path / "data")
