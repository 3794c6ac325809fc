"""What a file or folder holds is known again by its contents, not by its name or place."""

import os
import shutil

import pytest

from realm_tf.run import fingerprints
from realm_tf.run.fingerprints import fingerprint, is_same


@pytest.fixture(name="folder")
def _folder(tmp_path):
  (tmp_path / "docs" / "inner").mkdir(parents=True)
  (tmp_path / "docs" / "one.txt").write_text("one")
  (tmp_path / "docs" / "inner" / "two.txt").write_text("two")
  return tmp_path / "docs"


def test_a_file_under_any_name_is_the_same(folder, tmp_path):
  recorded = fingerprint(folder / "one.txt")
  assert recorded["bytes"] == 3
  os.utime(shutil.copy(folder / "one.txt", tmp_path / "other"), (1, 1))
  os.symlink(folder / "one.txt", tmp_path / "link")
  assert is_same(tmp_path / "other", recorded) and is_same(tmp_path / "link", recorded)
  (tmp_path / "other").write_text("ono")
  assert is_same(tmp_path / "other", recorded) is False


@pytest.mark.parametrize("change, same", [
    (lambda folder: (folder / "one.txt").write_text("other"), False),
    (lambda folder: (folder / "inner" / "three.txt").write_text(""), False),
    (lambda folder: (folder / "one.txt").unlink(), False),
    (lambda folder: (folder / "one.txt").rename(folder / "1.txt"), False),
    (lambda folder: (folder / ".hidden").write_text("hidden"), True),
    (lambda folder: (folder / "nowhere").symlink_to("missing"), True),
    (lambda folder: os.utime(folder / "one.txt"), True),
    (lambda folder: shutil.copytree(folder, folder.parent / "copy"), True)])
def test_a_folder_is_what_lies_in_it_under_which_names(folder, change, same):
  recorded = fingerprint(folder)
  changed = change(folder)
  assert is_same(folder, recorded) is same
  if isinstance(changed, type(folder)) and changed.is_dir():
    assert is_same(changed, recorded)


def test_what_nobody_wrote_to_is_not_read_again(folder, monkeypatch):
  recorded = fingerprint(folder)
  reads = []
  fingerprints._contents.cache_clear()  # pylint: disable=protected-access
  read = fingerprints.files.sha256
  monkeypatch.setattr(fingerprints.files, "sha256",
                      lambda path: reads.append(path) or read(path))
  assert is_same(folder, recorded) and not reads
  os.utime(folder / "one.txt", (1, 1))
  assert is_same(folder, recorded) and len(reads) == 2
  assert is_same(folder, recorded) and len(reads) == 2  # once a process


def test_what_cannot_be_compared(folder, tmp_path):
  recorded = fingerprint(folder)
  os.mkfifo(tmp_path / "pipe")
  (tmp_path / "empty").mkdir()
  for path in (tmp_path / "nowhere", tmp_path / "pipe", tmp_path / "empty", "/dev/null"):
    assert fingerprint(path) is None and is_same(path, recorded) is None
