"""A folder for what is half done is known by what is in it, not by its name alone."""

import pytest

from realm_tf.errors import UserError
from realm_tf.working import WorkingKind, check_working, remove_working

_PLAIN = WorkingKind("`realm try`", r"part-\d+\.bin|logs")
_MARKED = WorkingKind("`realm try`", r"part-\d+\.bin|logs", "trying.json")


def _fill(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
  return folder


def _everything(folder):
  return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


_OURS = ("part-0.bin", ".part-1.bin.0123abcd.new", "logs/today", "trying.json",
         ".trying.json.0123abcd.new")


@pytest.mark.parametrize("names", [(), _OURS, _OURS[3:], _OURS[4:]])
def test_what_a_command_has_written_is_its_own(tmp_path, names):
  folder = tmp_path / ".it.trying"
  check_working(folder, _MARKED)  # there is nothing yet
  _fill(folder, *names).mkdir(exist_ok=True)
  check_working(folder, _MARKED)
  remove_working(folder, _MARKED)
  assert not folder.exists()
  remove_working(folder, _MARKED)


@pytest.mark.parametrize("kind, names, strange", [
    (_PLAIN, ["thesis.txt"], "thesis.txt"),
    (_PLAIN, ["part-0.bin", "part-0.bin.bak"], "part-0.bin.bak"),
    (_PLAIN, ["trying.json"], "trying.json"), (_PLAIN, [".part-1.bin"], ".part-1.bin"),
    (_MARKED, ["logs/mine"], "logs"), (_MARKED, ["trying.json", "a/b"], "a")])
def test_anything_else_is_refused_and_left_as_it_is(tmp_path, kind, names, strange):
  folder = _fill(tmp_path / ".it.trying", *names)
  before = _everything(tmp_path)
  with pytest.raises(UserError) as caught:
    check_working(folder, kind)
  message = str(caught.value)
  assert message.startswith(f"{folder}: is there already, and has '{strange}' in it")
  assert "`realm try`" in message and "\n" not in message
  assert _everything(tmp_path) == before


def test_a_file_of_that_name_is_refused(tmp_path):
  _fill(tmp_path, ".it.trying")
  with pytest.raises(UserError, match=r"\.it\.trying: is a file"):
    check_working(tmp_path / ".it.trying", _PLAIN)


def test_what_has_come_meanwhile_is_not_lost(tmp_path):
  folder = _fill(tmp_path / ".it.trying", *_OURS, "notes/mine")
  (tmp_path / "elsewhere").mkdir()
  _fill(tmp_path / "elsewhere", "kept")
  (folder / "part-7.bin").symlink_to(tmp_path / "elsewhere")
  remove_working(folder, _MARKED)
  assert _everything(folder) == {"notes", "notes/mine"}
  assert (tmp_path / "elsewhere" / "kept").exists()
