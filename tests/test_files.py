import hashlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from realm_tf import files
from realm_tf.errors import UserError


def _names(folder):
  return sorted(path.name for path in folder.iterdir())


def test_new_file_takes_the_place_of_the_old(tmp_path):
  path = tmp_path / "deep" / "file"
  for text in ("one", "two"):
    with files.new_file(path, "w") as file:
      file.write(text)
    assert path.read_text() == text
  assert _names(path.parent) == ["file"]


def test_error_in_the_middle_leaves_the_old_file(tmp_path):
  path = tmp_path / "file"
  path.write_bytes(b"old")
  with pytest.raises(KeyboardInterrupt), files.new_file(path) as file:
    file.write(b"new")
    raise KeyboardInterrupt
  assert path.read_bytes() == b"old"
  assert _names(tmp_path) == ["file"]


def _fill(folder, text):
  with files.new_folder(folder) as new:
    (new / "inner").mkdir()
    (new / "inner" / "file").write_text(text)


def test_new_folder_takes_the_place_of_the_old(tmp_path):
  folder = tmp_path / "folder"
  _fill(folder, "one")
  (folder / "only in the old").touch()
  _fill(folder, "two")
  assert (folder / "inner" / "file").read_text() == "two"
  assert _names(folder) == ["inner"]
  assert _names(tmp_path) == ["folder"]


def test_error_in_the_middle_leaves_the_old_folder(tmp_path):
  folder = tmp_path / "folder"
  _fill(folder, "old")
  with pytest.raises(RuntimeError), files.new_folder(folder) as new:
    (new / "file").touch()
    raise RuntimeError
  assert (folder / "inner" / "file").read_text() == "old"
  assert _names(tmp_path) == ["folder"]


def _run(code, *arguments):
  return subprocess.run(
      [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
      capture_output=True, text=True, check=False)


_FULL_DISK = """
    import resource, signal, sys
    from realm_tf import files
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails with an error
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
      if sys.argv[1] == "file":
        with files.new_file(sys.argv[2]) as file:
          file.write(bytes(10_000))
      else:
        with files.new_folder(sys.argv[2]) as new:
          (new / "file").write_bytes(bytes(10_000))
    except OSError:
      sys.exit(7)
"""

_KILLED = """
    import os, signal, sys
    from realm_tf import files
    os.replace = files.replace_folder = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "file":
      with files.new_file(sys.argv[2]) as file:
        file.write(b"new")
    else:
      with files.new_folder(sys.argv[2]) as new:
        (new / "file").write_bytes(b"new")
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("code, exit_code, leftovers", [
    (_FULL_DISK, 7, False), (_KILLED, -signal.SIGKILL, True)],
    ids=["full disk", "kill -9"])
def test_failed_write_leaves_the_old(tmp_path, kind, code, exit_code, leftovers):
  path = tmp_path / "old"
  inner = path
  if kind == "folder":
    path.mkdir()
    inner = path / "file"
  inner.write_bytes(b"old")
  run = _run(code, kind, path)
  assert run.returncode == exit_code, run.stderr
  assert inner.read_bytes() == b"old"
  assert leftovers or _names(tmp_path) == ["old"]


def test_folder_is_whole_when_killed_right_after_the_exchange(tmp_path):
  path = tmp_path / "folder"
  path.mkdir()
  (path / "file").write_bytes(b"old")
  run = _run("""
      import os, shutil, signal, sys
      from realm_tf import files
      shutil.rmtree = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
      with files.new_folder(sys.argv[1]) as new:
        (new / "file").write_bytes(b"new")
  """, path)
  assert run.returncode == -signal.SIGKILL, run.stderr
  assert (path / "file").read_bytes() == b"new"


def test_new_file_is_synced_before_it_is_renamed(tmp_path, monkeypatch):
  calls = []
  fsync, replace = os.fsync, os.replace
  monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), fsync(fd)))
  monkeypatch.setattr(
      os, "replace", lambda *paths: (calls.append("rename"), replace(*paths)))
  with files.new_file(tmp_path / "file") as file:
    file.write(b"new")
  assert calls == ["sync", "rename", "sync"]  # the last one: the folder itself


def test_json_round_trip_and_named_errors(tmp_path):
  path = tmp_path / "value.json"
  files.write_json(path, {"b": [1, None], "a": "é"})
  assert files.read_json(path) == {"b": [1, None], "a": "é"}
  for damage in (b'{"a": ', b"\xff"):
    path.write_bytes(damage)
    with pytest.raises(UserError, match="value.json: not valid JSON"):
      files.read_json(path)
  with pytest.raises(UserError, match="none.json: no such file"):
    files.read_json(tmp_path / "none.json")


def test_sha256_is_that_of_the_bytes(tmp_path):
  path = tmp_path / "file"
  path.write_bytes(bytes(range(256)) * 1000)
  assert files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
