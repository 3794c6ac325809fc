"""Locks, held and fought for by real processes."""

import socket
import subprocess
import sys

import pytest

from realm_tf import locks
from realm_tf.errors import UserError
from tests import refusing

_HOLD = """
import errno, sys
from realm_tf import locks
from tests import refusing
if sys.argv[2] == "no locks":
  refusing.refuse(flock=errno.ENOLCK)
with locks.lock(sys.argv[1], "the place", "`realm ict`", wait=True):
  print("held", flush=True)
  sys.stdin.read()
"""

# Each adds to a number in a file, in steps that another process could come between.
_COUNT = """
import errno, pathlib, sys
from realm_tf import locks
from tests import refusing
path = pathlib.Path(sys.argv[1])
if sys.argv[2] == "no locks":
  refusing.refuse(flock=errno.ENOLCK)
for _ in range(100):
  with locks.lock(path / ".lock", path, wait=True):
    number = int((path / "number").read_text())
    (path / "number").write_text(str(number + 1))
"""


@pytest.fixture(name="kind", params=["locks", "no locks"])
def _kind(request):
  if request.param == "no locks" and not refusing.can_refuse():
    pytest.skip("calls are refused on x86-64 Linux only")
  return request.param


def _start(code, *arguments):
  return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(name="holder")
def _holder(tmp_path, kind):
  with _start(_HOLD, tmp_path / ".lock", kind) as holder:
    assert holder.stdout.readline() == "held\n"
    yield holder
    holder.kill()


def test_who_holds_it_is_told_without_taking_it(tmp_path, kind, holder):
  del kind
  path = tmp_path / ".lock"
  told = locks.holder(path)
  assert told == (holder.pid, socket.gethostname(), "`realm ict`")
  assert str(told) == f"`realm ict` (process {holder.pid})"
  assert locks.holder(tmp_path / "none") is None
  holder.kill()
  holder.wait()
  assert path.exists() and locks.holder(path) is None  # its process is gone
  path.write_text("notes of mine\n")
  assert locks.holder(path) is None
  path.write_text(f"{10 ** 30} {socket.gethostname()} x\n")
  assert locks.holder(path) is None


def test_the_second_is_told_who_is_at_work(tmp_path, kind, holder):
  second = subprocess.run(
      [sys.executable, "-c", _HOLD.replace(", wait=True", ""), tmp_path / ".lock", kind],
      capture_output=True, text=True, input="", check=False)
  assert (f"UserError: the place: `realm ict` (process {holder.pid}) is writing here; wait "
          "until it is done, or end it") in second.stderr
  assert "held" not in second.stdout


def test_a_lock_dies_with_its_process(tmp_path, kind, holder):
  holder.kill()
  holder.wait()
  assert (tmp_path / ".lock").exists()  # as it was left
  with _start(_HOLD, tmp_path / ".lock", kind) as next_one:
    assert next_one.stdout.readline() == "held\n"
    next_one.communicate("")
  assert list(tmp_path.iterdir()) == []


def test_one_that_waits_gets_it_when_it_is_free(tmp_path, kind, holder):
  with _start(_HOLD, tmp_path / ".lock", kind) as waiting:
    holder.communicate("")
    assert waiting.stdout.readline() == "held\n"
    waiting.communicate("")
  assert list(tmp_path.iterdir()) == []


def test_never_two_at_once(tmp_path, kind):
  (tmp_path / "number").write_text("0")
  processes = [_start(_COUNT, tmp_path, kind) for _ in range(3)]
  assert [process.wait() for process in processes] == [0, 0, 0]
  for process in processes:
    process.communicate()
  assert (tmp_path / "number").read_text() == "300"


def test_an_error_frees_it(tmp_path):
  with pytest.raises(RuntimeError), locks.lock(tmp_path / ".lock", tmp_path):
    with pytest.raises(UserError, match=r"another process \(process \d+\) is writing here"):
      with locks.lock(tmp_path / ".lock", tmp_path):
        pass
    raise RuntimeError
  with locks.lock(tmp_path / ".lock", tmp_path):
    pass
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"yarn lockfile v1\n", b"\xff\x00", b"12 a b\nmore\n"])
def test_a_file_that_no_lock_wrote_stays_as_it_is(tmp_path, content):
  path = tmp_path / ".mine.lock"
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"\.mine\.lock: .* something else; move it away"):
    with locks.lock(path, tmp_path):
      pass
  assert path.read_bytes() == content


@pytest.mark.parametrize("left", ["", "12", "12 host", "12 host `realm ict`\n"])
def test_what_a_killed_process_or_a_full_disk_left_is_taken_over(tmp_path, left):
  path = tmp_path / ".lock"
  path.write_text(left)
  with locks.lock(path, tmp_path):
    assert path.read_text().endswith("another process\n")
  assert not path.exists()
