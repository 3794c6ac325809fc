"""A run is exported when it has changed, and not otherwise."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading

import pytest

from realm_tf.errors import UserError
from realm_tf.server import run_source
from realm_tf.server.run_source import RunSource
from tests.processes import LONG

# Stands for `realm export`: writes the next version, or fails, as a file of the run says.
_EXPORT = textwrap.dedent("""\
    import pathlib, sys, time
    run, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2].partition("=")[2])
    said = (run / "corpus" / "manifest.json").read_text()
    if said.startswith("bad"):
      sys.exit(f"a line\\nrealm: {said}")
    if said.startswith("stubborn"):
      import os, signal
      def tidy(number, frame):
        (output / "tidied").mkdir(parents=True)
        os._exit(7)
      signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in said else tidy)
      (run / "begun").open("w").close()  # a pipe: the test reads it
      while True:
        signal.pause()
    if said.startswith("slow"):
      print("begun", file=sys.stderr, flush=True)
      time.sleep(600)
    number = 1 + max([int(path.name) for path in output.glob("*")], default=0)
    (output / str(number)).mkdir(parents=True)
    (output / str(number) / "saved_model.pb").write_text(said)
    """)


@pytest.fixture(name="run")
def _run(tmp_path):
  folder = tmp_path / "run"
  (folder / "corpus").mkdir(parents=True)
  _change(folder, "one")
  return folder


def _change(run, text):
  (run / "corpus" / "manifest.json").write_text(text)


@pytest.fixture(name="source")
def _source(run, tmp_path):
  source = RunSource(run, tmp_path / "exports", [sys.executable, "-c", _EXPORT, str(run)])
  yield source
  source.close()


def _texts(versions):
  return {version.number: (version.folder / "saved_model.pb").read_text()
          for version in versions}


def test_each_change_is_exported_once(run, source, caplog):
  caplog.set_level("INFO")
  assert _texts(source.look()) == {1: "one"}
  assert caplog.messages[0].startswith(f"{run}: exporting the model for serving, once")
  assert _texts(source.look()) == {1: "one"}
  _change(run, "another")
  assert _texts(source.look()) == {2: "another", 1: "one"}
  assert caplog.messages[1:] == [f"{run}: has changed, and is exported again"]
  (run / "finetune").mkdir()
  (run / "finetune" / "done.json").write_text("{}")
  assert _texts(source.look()) == {3: "another", 2: "another"}  # and the first is gone
  assert sorted(path.name for path in source.look()[0].folder.parent.iterdir()) == ["2", "3"]


def test_a_run_that_cannot_be_exported_keeps_what_answers(run, source, monkeypatch, caplog):
  source.look()
  _change(run, "bad: no room")
  assert _texts(source.look()) == {1: "one"} and "bad: no room" in caplog.text
  caplog.clear()
  source.look()
  assert not caplog.records  # it is not tried at once
  monkeypatch.setattr(run_source, "_RETRY_SECONDS", 0.0)
  source.look()
  assert "bad: no room" in caplog.text
  _change(run, "mended")
  assert _texts(source.look()) == {2: "mended", 1: "one"}


def test_the_first_export_must_be_made(run, source):
  _change(run, "bad: no model")
  with pytest.raises(UserError, match="^bad: no model$"):
    source.look()


def test_closing_ends_an_export(run, source):
  source.look()
  _change(run, "slow")
  looking = threading.Thread(target=source.look)
  looking.start()
  while source._process is None:  # pylint: disable=protected-access
    pass
  process = source._process  # pylint: disable=protected-access
  source.close()
  looking.join(LONG)
  assert not looking.is_alive() and process.returncode == -signal.SIGTERM


def _closed_under_way(run, source, said):
  """The process of an export that was under way, and whether it outlived `close`."""
  _change(run, said)
  os.mkfifo(run / "begun")
  looking = threading.Thread(target=source.look)
  looking.start()
  (run / "begun").open().close()  # once it has opened it too
  process = source._process  # pylint: disable=protected-access
  source.close()
  is_there = pathlib.Path(f"/proc/{process.pid}").exists()
  looking.join(LONG)
  return process, is_there


def test_closing_waits_for_what_an_export_removes_at_its_end(run, source, tmp_path):
  process, is_there = _closed_under_way(run, source, "stubborn")
  assert not is_there and process.returncode == 7
  assert (tmp_path / "exports" / "tidied").is_dir()


def test_an_export_that_does_not_end_is_killed(run, source, monkeypatch):
  monkeypatch.setattr(run_source, "_PATIENCE", 0.01)
  process, is_there = _closed_under_way(run, source, "stubborn and deaf")
  assert not is_there and process.returncode == -signal.SIGKILL


def test_a_closed_source_starts_nothing(run, source, monkeypatch):
  source.look()
  _change(run, "slow")
  state = run_source._state  # pylint: disable=protected-access

  def closing(folder):  # between the look and the export
    source.close()
    return state(folder)
  monkeypatch.setattr(run_source, "_state", closing)
  assert _texts(source.look()) == {1: "one"}


_HOLD = """
import sys
from realm_tf.server.run_source import run_source
with run_source(sys.argv[1]) as source:
  print(source._exports.parent, flush=True)
  sys.stdin.read()
"""


def test_a_folder_of_a_like_name_is_left_alone(run, tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  folder = tmp_path / "realm-serve-notes"
  folder.mkdir()
  for name in ("lock", "thesis.txt"):
    (folder / name).write_text("years")
  with run_source.run_source(run):
    pass
  assert [(folder / name).read_text() for name in ("lock", "thesis.txt")] == ["years"] * 2


def test_what_a_first_export_left_is_removed(run, tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  left = tmp_path / "realm-serve-abc"
  (left / ".export.0123abcd.new" / "1").mkdir(parents=True)
  for name in ("lock", ".export.lock"):
    (left / name).touch()
  with run_source.run_source(run):
    assert not left.exists()


def test_what_a_killed_server_left_is_removed(run, tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  with contextlib.ExitStack() as stack:
    killed, alive = (stack.enter_context(subprocess.Popen(
        [sys.executable, "-c", _HOLD, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "TMPDIR": str(tmp_path)})) for _ in range(2))
    orphaned, in_use = (pathlib.Path(process.stdout.readline().strip())
                        for process in (killed, alive))
    killed.kill()
    killed.wait(LONG)
    assert orphaned.is_dir() and in_use.is_dir()
    with run_source.run_source(run) as source:
      own = source._exports.parent  # pylint: disable=protected-access
      assert own.is_dir() and in_use.is_dir() and not orphaned.exists()
    assert not own.exists()
    alive.stdin.close()
    assert alive.wait(LONG) == 0 and not in_use.exists()
