import hashlib
import os
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import save_file

from realm_tf import files
from realm_tf.errors import UserError
from tests import refusing


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
      with files.new_file(sys.argv[1]) as file:
        file.write(bytes(10_000))
    except OSError as error:
      print(error.filename)
      sys.exit(7)
"""

_KILLED = """
    import os, signal, sys
    from realm_tf import files
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    with files.new_file(sys.argv[1]) as file:
      file.write(b"new")
"""


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path):
  path = tmp_path / "old"
  path.write_bytes(b"old")
  run = _run(_FULL_DISK, path)
  assert (run.returncode, run.stdout) == (7, f"{path}\n"), run.stderr
  assert path.read_bytes() == b"old" and _names(tmp_path) == ["old"]


def test_a_killed_writer_leaves_the_old_file_and_the_next_removes_what_it_left(tmp_path):
  path = tmp_path / "old"
  path.write_bytes(b"old")
  assert _run(_KILLED, path).returncode == -signal.SIGKILL
  assert path.read_bytes() == b"old" and len(_names(tmp_path)) == 2
  (tmp_path / ".old.mine.new").touch()
  with files.new_file(path) as file:
    file.write(b"newer")
  assert path.read_bytes() == b"newer" and _names(tmp_path) == [".old.mine.new", "old"]


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
  with files.new_file(tmp_path / "file") as first:
    first.write(b"first")
    with files.new_file(tmp_path / "file") as second:  # sees what the first has begun
      second.write(b"second")
    assert (tmp_path / "file").read_bytes() == b"second"
  assert (tmp_path / "file").read_bytes() == b"first"
  assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o077, 0o002, 0o022])
def test_permissions_are_what_the_umask_leaves(tmp_path, mask):
  before = os.umask(mask)
  try:
    for _ in range(2):  # new, and in the place of another
      with files.new_file(tmp_path / "deep" / "file") as file:
        file.write(b"x")
  finally:
    os.umask(before)
  assert stat.S_IMODE((tmp_path / "deep" / "file").stat().st_mode) == 0o666 & ~mask
  assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o777 & ~mask


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path):
  (tmp_path / "real").mkdir()
  (tmp_path / "real" / "file").write_bytes(b"old")
  (tmp_path / "link").symlink_to("real/file")
  with files.new_file(tmp_path / "link") as file:
    file.write(b"new")
  assert (tmp_path / "link").is_symlink()
  assert (tmp_path / "real" / "file").read_bytes() == b"new"
  assert _names(tmp_path) == ["link", "real"] and _names(tmp_path / "real") == ["file"]


def test_a_pipe_is_written_and_not_replaced(tmp_path):
  os.mkfifo(tmp_path / "pipe")
  reader = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
  try:
    with files.new_file(tmp_path / "pipe") as file:
      file.write(b"through")
    assert os.read(reader, 100) == b"through"
  finally:
    os.close(reader)
  assert (tmp_path / "pipe").is_fifo() and _names(tmp_path) == ["pipe"]


def test_a_folder_is_no_file(tmp_path):
  with pytest.raises(IsADirectoryError) as caught, files.new_file(tmp_path):
    raise AssertionError("before anything is written")
  assert caught.value.filename == str(tmp_path)


def test_a_file_system_that_cannot_sync_link_or_lock(tmp_path):
  run = _run("""
      import os, sys
      from realm_tf import files
      from tests import refusing
      refusing.refuse(**refusing.ODD)
      with files.new_file(sys.argv[1] + "/file") as file:
        file.write(b"x")
      files.link_or_copy(sys.argv[1] + "/file", sys.argv[1] + "/copy")
  """, tmp_path)
  if not refusing.can_refuse():
    pytest.skip("calls are refused on x86-64 Linux only")
  assert run.returncode == 0, run.stderr
  assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
      "file": b"x", "copy": b"x"}


def test_what_the_system_says_is_found_in_errors_of_libraries(tmp_path):
  with pytest.raises(tf.errors.OpError) as caught:
    tf.io.write_file("/dev/full", "x" * 10_000)
  assert files.system_reason(caught.value) == "No space left on device"
  with pytest.raises(SafetensorError) as caught:
    save_file({"x": np.zeros(10)}, tmp_path / "none" / "file")
  assert files.system_reason(caught.value) == "No such file or directory"
  assert files.system_reason(PermissionError(13, "Permission denied")) == "Permission denied"
  assert files.system_reason(ValueError("No space left on device")) is None


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
  for damage in (b'{"a": ', b"\xff", b"[" * 100_000, b"9" * 5000):
    path.write_bytes(damage)
    with pytest.raises(UserError, match="value.json: not valid JSON"):
      files.read_json(path)
  with pytest.raises(UserError, match="none.json: no such file"):
    files.read_json(tmp_path / "none.json")


@pytest.mark.parametrize("text, kind", [
    ("[1]", "list"), ("null", "null"), ("5", "int"), ('"{}"', "str")])
def test_what_is_no_object_is_named(tmp_path, text, kind):
  path = tmp_path / "value.json"
  path.write_text(text)
  with pytest.raises(UserError, match=f"value.json: expected a JSON object.* got {kind}"):
    files.read_object(path)
  path.write_text('{"a": 1}')
  assert files.read_object(path) == {"a": 1}


def test_sha256_is_that_of_the_bytes(tmp_path):
  path = tmp_path / "file"
  path.write_bytes(bytes(range(256)) * 1000)
  assert files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
