"""Where commands write what a flag names: never over something else."""

import dataclasses
import json
import os
import shutil
import stat

import pytest
import tensorflow as tf

import realm_tf
from realm_tf.evaluation.calibration import write_calibration
from realm_tf.run import stages
from realm_tf.run.folder import Run
from tests import tiny
from tests.command import realm


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A run after ICT, made under a umask that lets the group write, and other folders."""
  folder = tmp_path_factory.mktemp("world")
  (folder / "documents.jsonl").write_text(
      "".join(json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  (folder / "questions.jsonl").write_text(
      '{"question": "what is the capital of france?", "answer": ["Paris"]}\n')
  before = os.umask(0o002)
  try:
    run = Run(tiny.make_config(
        folder, corpus__source=str(folder / "documents.jsonl"), checkpoint_every=1,
        best_metric="loss", ict__steps=2), folder / "run")
    stages.corpus(run)
    stages.ict(run)
    assert realm("export", f"--workdir={run.path}") == 0
  finally:
    os.umask(before)
  (folder / "mine").mkdir()
  (folder / "mine" / "thesis.txt").write_text("years")
  (folder / "to the run").symlink_to("run")
  (folder / "to the corpus").symlink_to("run/corpus")
  shutil.copytree(folder / "run" / "export" / "1", folder / "with warm-up")
  shutil.copytree(folder / "run" / "export", folder / "with another")
  (folder / "with another" / "7").mkdir()
  shutil.copytree(folder / "run" / "export", folder / "versions")
  (folder / "with warm-up" / "assets.extra" / "requests").touch()
  module = tf.Module()
  module.add = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([])])
  tf.saved_model.save(module, str(folder / "another model"))
  return folder


def _everything(folder):
  return {path: path.read_bytes() if path.is_file() else None
          for path in folder.rglob("*") if "commands" not in path.parts}


_REFUSED = [
    ("export", "--output=run", "'commands' in it, which is no part of an export"),
    ("export", "--output=run/", "'commands' in it"),
    ("export", "--output=.", "runs in that folder"),
    ("export", "--output=/", "runs in that folder"),
    ("export", "--output=run/..", "runs in that folder"),
    ("export", "--output=mine/../run/corpus", "'corpus' is a part of the run"),
    ("export", "--output=run/finetune", "'finetune' is a part of the run"),  # not yet there
    ("export", "--output=run/export/more", "'export' is a part of the run"),
    ("export", "--output=to the run", "'commands' in it"),
    ("export", "--output=to the corpus", "'corpus' is a part of the run"),
    ("export", "--output=mine", "'thesis.txt' in it"),
    ("export", "--output=questions.jsonl", "is a file"),
    ("export", "--output=with warm-up", "'assets.extra/requests' in it"),
    ("export", "--output=another model", "'assets' in it"),
    ("export", "--output=with another", "'7' in it, which is no export"),
    ("export", "--output=versions/1", "is a version of an export"),
    ("export-weights", "--output=run", "'commands' in it"),
    ("export-weights", "--output=run/ict", "'ict' is a part of the run"),
    ("export-weights", "--kind=encoder --output=mine", "'thesis.txt' in it"),
    ("import", "--source=bert --output=run", "'commands' in it"),
    ("import", "--source=bert --output=bert", "'config.json' in it"),
    ("import", "--source=bert --output=run/pretrain", "'pretrain' is a part of the run"),
    ("predict", "--questions=questions.jsonl --output=questions.jsonl",
     "the file that is read"),
    ("predict", "--questions=questions.jsonl --output=run/config.json",
     "'config.json' is a part"),
    ("predict", "--questions=questions.jsonl --output=run", "run: Is a directory"),
    ("report", "--output=run", "run: Is a directory"),
    ("report", "--output=run/config.json", "'config.json' is a part of the run"),
    ("report", "--output=run/left_out.json", "'left_out.json' is a part of the run"),
    ("report", "--output=to the run/ict/done.json", "'ict' is a part of the run"),
    ("diagnose", "--json=run/config.json", "'config.json' is a part of the run"),
    ("resplit", "--questions=NQ.resplit.dev.jsonl --name=NQ --output=.",
     "the file that is read"),
]


@pytest.mark.parametrize("command, flags, named", _REFUSED)
def test_what_is_something_else_is_never_written_over(
    world, monkeypatch, capsys, command, flags, named):
  shutil.copy(world / "questions.jsonl", world / "NQ.resplit.dev.jsonl")
  monkeypatch.chdir(world)
  before = _everything(world)
  words = [f"--{flag}" for flag in flags.split(" --")]
  words[0] = words[0].removeprefix("--")
  if command not in ("import", "resplit"):
    words.append("--workdir=run")
  assert realm(command, *words) == 2
  error = capsys.readouterr().err.splitlines()[-1]
  assert error.startswith("realm: ") and named in error, error
  assert _everything(world) == before


def test_a_run_and_an_export_have_the_permissions_that_the_umask_leaves(world):
  paths = [path for path in (world / "run").rglob("*") if path.parent.name != "commands"]
  assert {path.name for path in paths} >= {
      "best", "tensorboard", "saved_model.pb", "variables", "model.json", "checkpoint",
      "config.json", "commands", "rows-00000.bin", "vocab.txt", "curves.csv"}
  for path in paths:
    full = 0o775 if path.is_dir() else 0o664
    assert stat.S_IMODE(path.stat().st_mode) == full, path


@pytest.mark.slow
def test_versions_of_an_export_through_a_link_stand_where_the_link_leads(
    world, tmp_path, capsys):
  shutil.copytree(world / "run", tmp_path / "run", symlinks=True)
  (tmp_path / "disk").mkdir()
  os.rename(tmp_path / "run" / "export", tmp_path / "disk" / "export")
  (tmp_path / "run" / "export").symlink_to("../disk/export")
  (tmp_path / "disk" / "export" / "notes").touch()  # nothing is replaced, so it may stay
  before = _everything(tmp_path / "disk")
  assert realm("export", f"--workdir={tmp_path}/run") == 0
  assert capsys.readouterr().out.endswith("run/export/2\n")
  assert (tmp_path / "run" / "export").is_symlink()
  assert sorted(os.listdir(tmp_path / "disk" / "export")) == ["1", "2", "notes"]
  now = _everything(tmp_path / "disk")
  assert {path: now[path] for path in before} == before
  assert realm("verify", f"--workdir={tmp_path}/run") == 0
  assert "export/1: portable, checksums ok\nexport/2: portable" in capsys.readouterr().out
  (tmp_path / "disk" / "export" / "2" / "saved_model.pb").write_bytes(b"another")
  assert realm("verify", f"--workdir={tmp_path}/run") == 2
  assert "export/2: saved_model.pb: not what was" in capsys.readouterr().err
  model = realm_tf.load(tmp_path / "run" / "export" / "1")
  model.check()
  assert model.retrieve("what is the capital of france?")[0][0]["passage"]


@pytest.mark.slow
def test_an_export_of_before_there_were_versions_is_asked_and_replaced(
    world, tmp_path, capsys):
  shutil.copytree(world / "run", tmp_path / "run", symlinks=True)
  shutil.move(tmp_path / "run" / "export" / "1", tmp_path / "old")
  (tmp_path / "run" / "export").rmdir()
  os.rename(tmp_path / "old", tmp_path / "run" / "export")
  marker = tmp_path / "run" / "export" / "realm_export.json"
  record = json.loads(marker.read_text())
  marker.write_text(json.dumps({name: record[name] for name in ("written_by", "flavour")}
                               | {"files": list(record["files"])}))
  assert realm("ask", f"--export={tmp_path}/run/export", "where is paris?") == 0
  assert realm("verify", f"--workdir={tmp_path}/run") == 0
  assert "export: of an earlier realm_tf, without checksums" in capsys.readouterr().out
  assert realm("export", f"--workdir={tmp_path}/run") == 0
  assert os.listdir(tmp_path / "run" / "export") == ["1"]


@pytest.mark.slow
def test_an_export_of_before_a_change_is_told_of(world, tmp_path, capsys):
  shutil.copytree(world / "run", tmp_path / "run", symlinks=True)
  workdir = f"--workdir={tmp_path}/run"

  def listed() -> str:
    assert realm("list", workdir) == 0
    return next(line for line in capsys.readouterr().out.splitlines()
                if line.startswith("export"))

  assert realm("export", workdir) == 0
  assert "before" not in listed()
  gone = Run.existing(tmp_path / "run").corpus.document_ids[0]
  assert realm("delete", workdir, gone) == 0
  assert capsys.readouterr().out.splitlines()[-1] == (
      f"the export is of the corpus as it was before: `realm export {workdir}` makes a new "
      "one")
  assert listed().endswith("; of the corpus as it was before")
  assert realm("export", workdir) == 0
  assert "before" not in listed()
  run = Run.existing(tmp_path / "run")
  write_calibration(run.calibration_path, dataclasses.replace(
      run.calibration(run.newest_stage()), model=run.newest_stage(), temperature=3.0))
  assert listed().endswith("; calibrated as it was before")
