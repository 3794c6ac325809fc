"""Runs the commands of a tutorial, a Markdown file, in the current directory.

    python tests/tutorial_player.py docs/tutorial.md PORT

Lines that begin with `realm` and need no shell run in this process, which spares each the
import of TensorFlow; others run in bash, where `realm` must be on the PATH. A comment says
which exit code is expected, if not 0. PORT stands in the place of the server's.
"""

import pathlib
import re
import shlex
import signal
import subprocess
import sys

from absl import flags

from realm_tf.cli import main


def _play(text: str) -> None:
  for language, block in re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.M | re.S):
    if language == "python":
      subprocess.run([sys.executable, "-c", block], check=True)
      continue
    server = None
    for line in block.replace("\\\n", " ").splitlines():
      print(f"$ {line}", flush=True)
      if line.endswith("&"):
        server = subprocess.Popen(shlex.split(line[:-1]), stdout=subprocess.PIPE, text=True)
        assert server.stdout and "answers at" in server.stdout.readline()
      elif line == "kill %1":
        assert server
        server.terminate()
        assert server.wait() in (0, 128 + signal.SIGTERM), server.returncode
      else:
        _run(line)


def _run(line: str) -> None:
  command, _, comment = line.partition("  # exit code ")
  if "|" in command or not command.startswith("realm "):
    code = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False).returncode
  else:
    code = _in_this_process(shlex.split(command)[1:])
  assert code == int(comment or 0), f"{line}: exit code {code}"


def _in_this_process(words: list[str]) -> int:
  before = set(flags.FLAGS)
  try:
    return main.run(words)
  finally:
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)


if __name__ == "__main__":
  _play(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").replace("8501", sys.argv[2]))
