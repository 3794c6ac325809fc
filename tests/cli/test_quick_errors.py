"""What is wrong with a command's arguments is said before TensorFlow is imported."""

import json
import socket
import subprocess
import sys

import pytest

from realm_tf.cli import commands
from tests.command import realm

# Of those that work on a run, the words that they need besides.
_OTHERS = {
    "add": ["--documents=q.jsonl"], "ask": ["Who?"], "export-weights": ["--output=out"],
    "delete": ["id"], "predict": ["--questions=q.jsonl", "--output=p.jsonl"],
    "search": ["Who?"]}
_WITHOUT_A_RUN = {"compare", "help", "import", "init", "parity", "resplit", "score",
                  "tagger", "config"}
# Each in turn in one process, which ends with the first that loads TensorFlow.
_SCRIPT = """
import contextlib, io, json, sys
from absl import flags
from realm_tf.cli import main
told = {}
for words in json.load(sys.stdin):
  before, err = set(flags.FLAGS), io.StringIO()
  with contextlib.redirect_stderr(err):
    code = main.run(words)
  for name in set(flags.FLAGS) - before:
    delattr(flags.FLAGS, name)
  told[" ".join(words)] = [code, err.getvalue()]
  if "tensorflow" in sys.modules:
    sys.exit(f"{words} loaded TensorFlow, and said {err.getvalue()}")
print(json.dumps(told))
"""


def _told(folder, calls):
  completed = subprocess.run([sys.executable, "-c", _SCRIPT], input=json.dumps(calls),
                             cwd=folder, capture_output=True, text=True, check=False)
  assert completed.returncode == 0, completed.stderr
  return json.loads(completed.stdout.splitlines()[-1])


@pytest.mark.parametrize("words, message", [
    (["--workdir=runs/nowhere"], "runs/nowhere: no such folder; give --config for"),
    (["--workdir=."], ".: no config.json there; give --config"),
    (["--workdir=q.jsonl"], "q.jsonl: not a folder; give"),
    ([], "is missing: name the folder of"),
    (["--workdir=runs/nowhere", "--config.no_such_setting=1"], "no_such_setting")])
def test_a_run_that_is_not_there(tmp_path, words, message):
  names = [name for name in commands.NAMES if name not in _WITHOUT_A_RUN]
  (tmp_path / "q.jsonl").write_text('{"question": "Who?"}')
  told = _told(tmp_path, [[name, *words, *_OTHERS.get(name, [])] for name in names])
  for call, (code, err) in told.items():
    assert (code, len(err.splitlines())) == (2, 1) and message in err, (call, err)
  assert [path.name for path in tmp_path.iterdir()] == ["q.jsonl"]


def test_a_port_that_is_taken(tmp_path):
  (tmp_path / "export").mkdir()
  (tmp_path / "export" / "saved_model.pb").touch()
  with socket.create_server(("127.0.0.1", 0)) as other:
    port = other.getsockname()[1]
    words = ["serve", "--model=export"]
    told = _told(tmp_path, [[*words, f"--port={port}"], [*words, "--port=65536"],
                            [*words, "--host=no.such.host.invalid"]])
  taken, beyond, nowhere = (err for _, err in told.values())
  assert "(Address already in use); give another --port, or 0 for any that is free" in taken
  assert "65536 is not an integer in the range [0, 65535]" in beyond
  assert "no.such.host.invalid --port=8501: cannot listen there" in nowhere


def test_help_names_no_default_that_is_nothing(capsys):
  for name in commands.NAMES:
    assert realm("help", name) == 0
    told = capsys.readouterr().out
    assert "(default: )" not in told and "(default: [])" not in told, name
    assert "default: last" in told or name != "ask"


def test_files_that_are_not_there_and_what_cannot_be_meant(tmp_path):
  answered = '{"question": "Who?", "answer": "Ona"}'
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "config.json").write_text("{}")
  (tmp_path / "q.jsonl").write_text(answered)
  calls = {
      "serve --model=nowhere": "--model=nowhere: no such folder; `realm export`",
      "serve --model=run": "--model=run: no export there",
      "mcp --model=nowhere": "--model=nowhere: no such folder",
      "ask --export=nowhere Who?": "--export=nowhere: no such folder",
      "ask --workdir=run --threshold=2 Who?": "threshold",
      "ask --server=localhost:1 --threshold=2 Who?": "threshold",
      "predict --workdir=run --questions=nowhere --output=p": "nowhere: cannot be read",
      "predict --workdir=run --questions=q.jsonl --output=p --precision=2": "precision",
      "calibrate --workdir=run --questions=nowhere": "nowhere: cannot be read",
      "add --workdir=run --documents=nowhere": "--documents=nowhere: cannot be read",
      "score --questions=q.jsonl --predictions=nowhere": "nowhere: cannot be read",
      "score --questions=nowhere --predictions=q.jsonl": "nowhere: cannot be read",
      "compare q.jsonl nowhere": "nowhere: cannot be read",
      "compare q.jsonl q.jsonl --questions=nowhere": "nowhere: cannot be read",
      "resplit --questions=nowhere --name=a --output=b": "nowhere: cannot be read",
      "parity --reference=nowhere": "--reference=nowhere: cannot be read",
      "export-weights --output=run/commands/x --workdir=nowhere": "nowhere: no such folder",
      "tagger train --train=q.jsonl --held_out=nowhere --weights=run --output=t":
          "--held_out=nowhere: cannot be read"}
  for call, (code, err) in _told(tmp_path, [call.split() for call in calls]).items():
    assert (code, len(err.splitlines())) == (2, 1) and calls[call] in err, (call, err)
