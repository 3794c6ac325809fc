"""Disks that are full or cannot be written, and file systems that cannot do everything."""

import json
import sys

import pytest

from realm_tf.corpus.readers import Document
from realm_tf.run import stages
from realm_tf.run.folder import Run
from tests import tiny
from tests.mounts import with_mounts


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
def _indexed(world):
  run = Run.existing(world / "run")
  run.stored_index(run.model("ict"))
  return world


@pytest.mark.slow
def test_on_a_full_disk_every_command_says_so_in_one_line_and_changes_nothing(
    indexed, tmp_path):
  done = with_mounts(
      f"mount -t tmpfs -o size=32m tmpfs {tmp_path} && cp -r {indexed}/. {tmp_path}",
      sys.executable, "-m", "tests.cli.on_a_full_disk", tmp_path)
  assert done.returncode == 0, done.stdout + done.stderr
