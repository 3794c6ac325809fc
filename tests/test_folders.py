"""Folders: what they may replace, and what is there after a failure at any moment."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from realm_tf import folders
from realm_tf.errors import UserError
from tests import refusing
from tests.mounts import with_mounts

_KIND = folders.FolderKind("a pair", "pair.json", lambda marker: marker["files"])
# What stands at the beginning of a script that writes such a folder.
_SCRIPT = """
import errno, json, os, pathlib, shutil, signal, sys
from realm_tf import folders
from tests import refusing
from tests.mounts import with_mounts
KIND = folders.FolderKind("a pair", "pair.json", lambda marker: marker["files"])
PATH = pathlib.Path(sys.argv[1])
def fill(new, text):
  (new / "inner").mkdir()
  (new / "inner" / "file").write_text(text)
  (new / "pair.json").write_text(json.dumps({"files": ["inner/file"]}))
"""


def _names(folder):
  return sorted(path.name for path in folder.iterdir())


def _fill(folder, text):
  with folders.new_folder(folder, _KIND) as temporary:
    (temporary / "inner").mkdir()
    (temporary / "inner" / "file").write_text(text)
    (temporary / "pair.json").write_text('{"files": ["inner/file", "gone"]}')


def _text(folder):
  return (folder / "inner" / "file").read_text()


def _everything(folder):
  return {path.relative_to(folder): path.read_bytes() if path.is_file() else None
          for path in folder.rglob("*")}


def _script(code, *arguments):
  return [sys.executable, "-c", _SCRIPT + textwrap.dedent(code), *map(str, arguments)]


def _run(code, *arguments, **options):
  return subprocess.run(_script(code, *arguments), capture_output=True, text=True,
                        check=False, **options)


# What may be replaced.


def test_an_earlier_one_is_replaced_an_empty_one_and_none(tmp_path):
  folder = tmp_path / "deep" / "folder"
  _fill(folder, "one")
  (folder / "inner" / "empty").mkdir()
  _fill(folder, "two")
  assert _text(folder) == "two" and _names(folder) == ["inner", "pair.json"]
  shutil.rmtree(folder)
  folder.mkdir()
  _fill(folder, "three")
  assert _text(folder) == "three" and _names(folder.parent) == ["folder"]


def _of_a_stranger(folder):
  folder.mkdir()
  (folder / "thesis.txt").write_text("years")


def _with_one_more_file(folder):
  _fill(folder, "old")
  (folder / "inner" / "notes").touch()


def _with_a_link(folder):
  _fill(folder, "old")
  (folder / "mine").symlink_to("/usr")


def _of_another_kind(folder):
  _fill(folder, "old")
  (folder / "pair.json").write_text('{"shards": []}')


def _with_a_marker_that_is_no_json(folder):
  _fill(folder, "old")
  (folder / "pair.json").write_text("{")


@pytest.mark.parametrize("make, named", [
    (_of_a_stranger, "'thesis.txt' in it, which is no part of a pair"),
    (_with_one_more_file, "'inner/notes' in it"), (_with_a_link, "'mine' in it"),
    (_of_another_kind, "'inner' in it"), (_with_a_marker_that_is_no_json, "'inner' in it"),
    (lambda folder: folder.write_text("a file"), "is a file")])
@pytest.mark.parametrize("spelled", ["folder", "folder/", "other/../folder", "link"])
def test_anything_else_is_refused_and_left_as_it_is(tmp_path, make, named, spelled):
  make(tmp_path / "folder")
  (tmp_path / "other").mkdir()
  (tmp_path / "link").symlink_to("folder")
  before = _everything(tmp_path)
  with pytest.raises(UserError, match=named) as caught:
    with folders.new_folder(f"{tmp_path}/{spelled}", _KIND):
      raise AssertionError("before anything is written")
  assert str(caught.value).startswith(f"{tmp_path}/{spelled}: ")
  assert _everything(tmp_path) == before


@pytest.mark.parametrize("path, named", [
    (".", "runs in that folder"), ("..", "runs in that folder"), ("/", "runs in that folder"),
    ("", "runs in that folder"), ("/proc", "mounted volume .* such as /proc/new"),
    ("/dev/null", "is a file")])
def test_what_cannot_be_replaced_is_refused(tmp_path, monkeypatch, path, named):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError, match=named):
    folders.check_replaceable(path, _KIND)


def test_without_a_kind_only_an_empty_folder_is_replaced(tmp_path):
  _fill(tmp_path / "folder", "old")
  with pytest.raises(UserError, match="is there already, and has 'inner' in it; name a new"):
    folders.check_replaceable(tmp_path / "folder")


def test_a_file_that_comes_meanwhile_is_not_lost(tmp_path):
  _fill(tmp_path / "folder", "old")
  with pytest.raises(UserError, match="'notes' in it"):
    with folders.new_folder(tmp_path / "folder", _KIND):
      (tmp_path / "folder" / "notes").touch()
  assert _text(tmp_path / "folder") == "old" and _names(tmp_path) == ["folder"]


# Links.


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path):
  (tmp_path / "disk").mkdir()
  (tmp_path / "link").symlink_to("disk/folder")  # nothing there yet
  for text in ("one", "two"):
    _fill(tmp_path / "link", text)
    assert (tmp_path / "link").is_symlink() and _text(tmp_path / "disk" / "folder") == text
  assert _names(tmp_path) == ["disk", "link"] and _names(tmp_path / "disk") == ["folder"]


def test_a_link_to_a_disk_that_is_not_there_is_no_invitation_to_make_it(tmp_path):
  (tmp_path / "link").symlink_to("disk/folder")
  with pytest.raises(UserError, match="a link to .*/disk/folder, where there is nothing"):
    folders.check_replaceable(tmp_path / "link", _KIND)


# Failures.


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, UserError])
def test_an_error_in_the_middle_leaves_the_old_folder(tmp_path, error):
  _fill(tmp_path / "folder", "old")
  with pytest.raises(error), folders.new_folder(tmp_path / "folder", _KIND) as temporary:
    (temporary / "file").touch()
    raise error
  assert _text(tmp_path / "folder") == "old" and _names(tmp_path) == ["folder"]


def test_a_full_disk_is_one_line(tmp_path):
  _fill(tmp_path / "folder", "old")
  run = _run("""
      import resource
      from realm_tf.errors import UserError
      signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails with an error
      resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
      try:
        with folders.new_folder(PATH, KIND) as new:
          (new / "file").write_bytes(bytes(10_000))
      except UserError as error:
        print(error)
  """, tmp_path / "folder")
  assert run.stdout == (
      f"{tmp_path}/folder: cannot be written (File too large); what was there before is "
      "unchanged: make room, then run the same command\n"), run.stderr
  assert _text(tmp_path / "folder") == "old" and _names(tmp_path) == ["folder"]


def test_a_file_that_cannot_be_read_meanwhile_is_named_itself(tmp_path):
  with pytest.raises(FileNotFoundError, match="documents.jsonl"):
    with folders.new_folder(tmp_path / "folder", _KIND):
      open(tmp_path / "documents.jsonl", encoding="utf-8")


@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_permissions_are_what_the_umask_leaves(tmp_path, mask):
  before = os.umask(mask)
  try:
    _fill(tmp_path / "deep" / "folder", "text")
  finally:
    os.umask(before)
  for path in (tmp_path / "deep").rglob("*"):
    full = 0o777 if path.is_dir() else 0o666
    assert stat.S_IMODE(path.stat().st_mode) == full & ~mask, path


# Killed at any of the calls by which it changes the disk.

_DYING = """
odd, text, deadly = sys.argv[2], sys.argv[3], int(sys.argv[4])
if odd == "odd":
  refusing.refuse(**refusing.ODD)
calls = 0

def dying(function):
  def call(*arguments, **keywords):
    global calls
    calls += 1
    if calls == deadly:
      os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **keywords)
  return call

for name in ("fsync", "rename", "replace", "unlink", "mkdir", "rmdir"):
  setattr(os, name, dying(getattr(os, name)))
with folders.new_folder(PATH, KIND) as new:
  fill(new, text)
"""


@pytest.mark.parametrize("kind", ["usual", "odd"])
def test_killed_at_any_call_there_is_the_old_one_or_the_new_one(tmp_path, kind):
  if kind == "odd" and not refusing.can_refuse():
    pytest.skip("calls are refused on x86-64 Linux only")
  texts, missing, deadly = set(), 0, 0
  while True:
    deadly += 1
    path = tmp_path / f"kill-{deadly}" / "folder"
    _fill(path, "old")
    died = _run(_DYING, path, kind, "new", deadly)
    assert died.returncode in (0, -signal.SIGKILL), died.stderr
    missing += not path.exists()
    copy = shutil.copytree(path.parent, tmp_path / f"copy-{deadly}") / "folder"
    folders.recover(path)  # as whoever reads it does
    assert _names(path) == ["inner", "pair.json"]
    texts.add(_text(path))
    with pytest.raises(RuntimeError), folders.new_folder(copy, _KIND):
      raise RuntimeError  # a writer that fails takes nothing away either
    assert _text(copy) == _text(path) and _names(copy.parent) == ["folder"]
    _fill(path, "newer")
    assert _text(path) == "newer" and _names(path.parent) == ["folder"]
    if died.returncode == 0:
      break
  assert deadly > 5 and texts == {"old", "new"}
  assert missing == (2 if kind == "odd" else 0)  # between its two renames


def test_a_disk_that_fails_between_two_renames_keeps_the_old_one(tmp_path):
  if not refusing.can_refuse():
    pytest.skip("calls are refused on x86-64 Linux only")
  path = tmp_path / "folder"
  _fill(path, "old")
  died = _run("""
      refusing.refuse(renameat2=errno.EINVAL)
      rename = os.rename
      def fails(source, target):
        if target == PATH:  # both the new one and the old one
          raise OSError(errno.EIO, "Input/output error", str(source))
        rename(source, target)
      os.rename = fails
      with folders.new_folder(PATH, KIND) as new:
        fill(new, "new")
  """, path)
  assert "cannot be written (Input/output error)" in died.stderr and not path.exists()
  _fill(tmp_path / "other", "x")
  folders.recover(path)
  assert _text(path) == "old"
  _fill(path, "newer")
  assert _text(path) == "newer" and _names(tmp_path) == ["folder", "other"]


def test_a_reader_waits_for_the_moment_between_two_renames(tmp_path):
  if not refusing.can_refuse():
    pytest.skip("calls are refused on x86-64 Linux only")
  path = tmp_path / "folder"
  _fill(path, "old")
  texts = []
  reader = threading.Thread(target=lambda: (folders.recover(path), texts.append(_text(path))))
  with subprocess.Popen(_script("""
      refusing.refuse(renameat2=errno.EINVAL)
      rename = os.rename
      def slow(source, target):
        rename(source, target)
        if source == PATH:
          print("moved away", flush=True)
          sys.stdin.readline()
      os.rename = slow
      with folders.new_folder(PATH, KIND) as new:
        fill(new, "new")
  """, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
    assert writer.stdout.readline() == "moved away\n" and not path.exists()
    reader.start()
    writer.communicate("\n")
  reader.join()
  assert texts == ["new"] and _names(tmp_path) == ["folder"]


def test_what_was_moved_away_since_is_not_put_back(tmp_path):
  (tmp_path / ".folder.01234567.old").mkdir()  # the swap was done, not the removal
  folders.recover(tmp_path / "folder")
  assert not (tmp_path / "folder").exists()


# Two writers.


def test_the_second_writer_is_refused_and_takes_nothing_from_the_first(tmp_path):
  path = tmp_path / "folder"
  with subprocess.Popen(_script("""
      with folders.new_folder(PATH, KIND) as new:
        fill(new, "first")
        print("writing", flush=True)
        sys.stdin.read()
  """, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
    assert first.stdout.readline() == "writing\n"
    with pytest.raises(UserError, match=rf"folder: .*process {first.pid}\) is writing here"):
      _fill(path, "second")
    first.communicate("")
  assert first.returncode == 0 and _text(path) == "first" and _names(tmp_path) == ["folder"]


def test_what_a_dead_writer_left_is_removed_and_nothing_like_it(tmp_path):
  path = tmp_path / "folder"
  died = _run(_DYING, path, "usual", "new", 3)
  assert died.returncode == -signal.SIGKILL and len(_names(tmp_path)) == 2
  others = [".folder.backup", ".folder.mine.new", ".folder2.01234567.new"]
  for other in others:
    (tmp_path / other).mkdir()
  _fill(path, "second")
  assert _names(tmp_path) == sorted([*others, "folder"])


def test_a_layer_that_cannot_rename_says_so_in_one_line(tmp_path):
  for name in ("lower", "upper", "work", "merged"):
    (tmp_path / name).mkdir()
  _fill(tmp_path / "lower" / "folder", "old")
  finished = with_mounts(
      f"cd {tmp_path} && mount -t overlay overlay merged "
      "-o lowerdir=lower,upperdir=upper,workdir=work && cd - >&2", *_script("""
          from realm_tf.errors import UserError
          try:
            with folders.new_folder(PATH, KIND) as new:
              fill(new, "new")
          except UserError as error:
            print(error)
          print(*os.listdir(PATH.parent), (PATH / "inner" / "file").read_text())
      """, tmp_path / "merged" / "folder"))
  if finished.stdout == "folder new\n":
    pytest.skip("overlays of this system rename folders")
  assert finished.stdout == (
      f"{tmp_path}/merged/folder: cannot be written (this file system cannot rename that "
      "folder, which may be of a lower layer: of the image of a container); what was there "
      "before is unchanged\nfolder old\n"), finished.stderr
