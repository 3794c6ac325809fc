"""Ctrl-C and SIGTERM while modules are imported; and help by its other name."""

import signal
import subprocess
import sys

import pytest

from realm_tf.serving import numbered
from tests.command import realm

# Stands still where a module is about to be imported.
_PAUSING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
awaited = sys.argv.pop(1)
class Pausing:
  def find_spec(self, name, path=None, target=None):
    if name == awaited:
      sys.meta_path.remove(self)
      print("paused", flush=True)
      sys.stdin.readline()
sys.meta_path.insert(0, Pausing())
from realm_tf.cli import start
start.main()
"""


@pytest.mark.parametrize("module, number", [
    ("realm_tf.cli.main", signal.SIGINT), ("tensorflow", signal.SIGINT),
    ("tensorflow", signal.SIGTERM)])
def test_stopped_while_modules_are_imported_it_says_one_line(module, number, tmp_path):
  (tmp_path / numbered.MODEL_FILE).touch()  # where there is no export it is said before
  command = [sys.executable, "-c", _PAUSING, module, "ask", f"--export={tmp_path}", "who?"]
  with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True) as process:
    assert process.stdout.readline() == "paused\n"
    process.send_signal(number)
    _, errors = process.communicate()
  assert process.returncode == 128 + number, errors
  assert errors == "realm: stopped; run the same command to go on\n"


def test_help_of_a_command_by_either_name(capsys):
  assert realm("ask", "--help") == 0
  help_text = capsys.readouterr().out
  assert realm("help", "ask") == 0 and capsys.readouterr().out == help_text
  assert help_text.startswith("realm ask: ") and "example:" in help_text
  assert realm("help") == 0
  overview = capsys.readouterr().out
  assert realm() == 0 and capsys.readouterr().out == overview and "  ask " in overview
  assert realm("help", "aks") == 2
  assert "'aks': no such command; the nearest is ask; one of" in capsys.readouterr().err
