"""Disks that are full or cannot be written, and file systems that cannot do everything."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from realm_tf.corpus.readers import Document
from realm_tf.run import stages
from realm_tf.run.folder import Run
from tests import refusing, tiny
from tests.mounts import with_mounts

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A run after ICT, from which a document was deleted; no index is made yet."""
  folder = tmp_path_factory.mktemp("world")
  for name, documents in (("documents", tiny.documents()),
                          ("more", [Document("ona", "Ona", "Ona is old.")])):
    (folder / f"{name}.jsonl").write_text(
        "".join(json.dumps(vars(document)) + "\n" for document in documents))
  (folder / "questions.jsonl").write_text(
      '{"question": "what is the capital of france?", "answer": ["Paris"]}\n')
  run = Run(tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"), checkpoint_every=1,
      evaluate__questions=str(folder / "questions.jsonl"), best_metric="loss",
      evaluate__masked_sentences=0, ict__steps=2), folder / "run")
  stages.corpus(run)
  stages.ict(run)
  return folder


@pytest.fixture(name="indexed", scope="module")
def _indexed(world, tmp_path_factory):
  folder = tmp_path_factory.mktemp("indexed")
  shutil.copytree(world, folder, dirs_exist_ok=True)
  run = Run.existing(folder / "run")
  run.stored_index(run.model("ict"))
  return folder


@pytest.mark.slow
def test_on_a_full_disk_every_command_says_so_in_one_line_and_changes_nothing(
    indexed, tmp_path):
  completed = with_mounts(
      f"mount -t tmpfs -o size=32m tmpfs {tmp_path} && cp -r {indexed}/. {tmp_path}",
      sys.executable, "-m", "tests.cli.on_a_full_disk", tmp_path)
  assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.slow
def test_a_run_on_a_read_only_disk_is_exported_to_elsewhere(world, tmp_path):
  """It has no index yet, which cannot be kept there."""
  for name in ("run", "out"):
    (tmp_path / name).mkdir()
  shutil.copytree(world / "run", tmp_path / "run", dirs_exist_ok=True)
  (tmp_path / "script.py").write_text("""
import sys
from tests.command import realm
workdir = "--workdir=run"
print(realm("export", workdir, "--output=out/export"),
      realm("export-weights", workdir, "--output=out/weights"),
      realm("ask", workdir, "what is the capital of france?"),
      realm("report", workdir, "--output=out/report.html"),
      realm("export", workdir), realm("ict", workdir), realm("delete", workdir, "odd"))
""")
  completed = with_mounts(f"cd {tmp_path} && mount --bind run run && "
                          "mount -o remount,ro,bind run",
                          sys.executable, "script.py")
  assert completed.stdout.splitlines()[-1] == "0 0 0 0 2 2 2", (
      completed.stdout + completed.stderr)
  assert completed.stderr.count("Read-only file system") >= 3
  assert "Traceback" not in completed.stderr
  assert "the embeddings of the corpus are made for this command alone" in completed.stderr
  assert (tmp_path / "out" / "export" / "1" / "saved_model.pb").exists()
  assert (tmp_path / "out" / "weights" / "reader" / "model.safetensors").exists()


_ON_AN_ODD_FILE_SYSTEM = """
import sys
from tests import refusing
refusing.refuse(**refusing.ODD)
import realm_tf
from tests.command import realm
for command in (["corpus"], ["ict"], ["index"], ["add", "--documents=more.jsonl"],
                ["delete", "odd"], ["compact"], ["export"], ["export"], ["verify"]):
  assert realm(*command, "--workdir=run") == 0, command
"""


@pytest.mark.stress
@pytest.mark.skipif(not refusing.can_refuse(), reason="only on x86-64 Linux")
def test_where_the_file_system_cannot_exchange_link_lock_or_sync_all_works(
    world, tmp_path):
  """As of NFS without its lock daemon, FUSE and exFAT."""
  shutil.copytree(world, tmp_path / "world", symlinks=True)
  (tmp_path / "world" / "script.py").write_text(_ON_AN_ODD_FILE_SYSTEM)
  for part in ("corpus", "ict"):
    shutil.rmtree(tmp_path / "world" / "run" / part)
  completed = subprocess.run(
      [sys.executable, "script.py"], cwd=tmp_path / "world", capture_output=True, text=True,
      env={**os.environ, "PYTHONPATH": str(_ROOT)}, check=False)
  assert completed.returncode == 0, completed.stdout + completed.stderr
  assert completed.stderr.count("this file system has no locks") == 1
  run = Run.existing(tmp_path / "world" / "run")
  assert {"ona"} <= set(run.corpus.document_ids) and "odd" not in run.corpus.document_ids
  assert run.corpus.num_blocks == run.corpus.num_stored_rows
  assert not [path for path in run.path.rglob(".*")]
