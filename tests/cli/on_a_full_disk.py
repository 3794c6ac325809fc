"""Runs commands on a disk with less and more room; asserts what they say, and what is there.

    python -m tests.cli.on_a_full_disk DISK

DISK is the root of a small file system of its own, which has in it a `run` after ICT,
`questions.jsonl` and `more.jsonl`, documents that may be added.
"""

import contextlib
import gc
import io
import os
import pathlib
import shutil
import sys

from tests.command import realm

_ROOM = (0, 12, 48, 400, 12_000)  # kilobytes
_COMMANDS = {  # with what is removed from the run before
    "corpus": ([], "corpus"), "ict": ([], "ict"), "index": ([], "index"),
    "evaluate": ([], "evaluation"), "export": ([], "export"), "report": ([], "none"),
    "add": (["--documents=more.jsonl"], "none"), "delete": (["odd"], "none"),
    "compact": ([], "none"), "export-weights": (["--output=copy/weights"], "none"),
    "predict": (["--questions=questions.jsonl", "--output=copy/answers.jsonl"], "none")}
# What a command that failed may have changed: these files grow line by line.
_GROWING = ("curves.csv", "commands", "tensorboard")


def _everything(folder: pathlib.Path) -> dict[str, bytes]:
  return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
          if path.is_file() and not set(path.parts) & set(_GROWING)}


def _leave(kilobytes: int) -> None:
  """Fills the disk up to so much.

  Files of the runs before that were deleted while mapped take room until they are collected.
  """
  gc.collect()
  pathlib.Path("ballast").unlink(missing_ok=True)
  disk = os.statvfs(".")
  with open("ballast", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - 1024 * kilobytes)


def _run(*command: str) -> tuple[int, str]:
  heard = io.StringIO()
  with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(io.StringIO()):
    code = realm(*command, "--workdir=copy")
  return code, "\n".join(line for line in heard.getvalue().splitlines()
                         if line.startswith(("realm:", "Traceback")))


def _until_it_succeeds(name: str, flags: list[str], removed: str) -> None:
  """Runs a command with more and more room."""
  shutil.copytree("run", "copy")
  shutil.rmtree(f"copy/{removed}", ignore_errors=True)
  for kilobytes in _ROOM:
    before = _everything(pathlib.Path("copy"))
    _leave(kilobytes)
    code, message = _run(name, *flags)
    print(name, kilobytes, code, message, flush=True)
    if code == 0:
      break
    assert code == 2 and message.count("\n") == 0, message
    assert message.startswith("realm: copy") and "No space left on device" in message
    now = _everything(pathlib.Path("copy"))
    assert not any(".new" in path or "_temp" in path for path in now), now.keys()
    if "not yet embedded" in message:
      assert name == "add" and now["corpus/manifest.json"] != before["corpus/manifest.json"]
    else:  # all that was there before is unchanged, whether it says so or not
      assert all(now[path] == before[path] for path in before)
  assert code == 0 and kilobytes  # it failed before
  pathlib.Path("ballast").unlink()
  shutil.rmtree("copy")


if __name__ == "__main__":
  os.chdir(sys.argv[1])
  for command, (words, part) in _COMMANDS.items():
    _until_it_succeeds(command, words, part)
