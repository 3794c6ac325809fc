"""Questions from the command line, from standard input, and by hand on a terminal."""

import io
import os
import pty
import subprocess
import sys

import pytest

from realm_tf.cli import questions_asked
from realm_tf.errors import UserError
from tests.command import realm


@pytest.fixture(name="stdin")
def _stdin(monkeypatch):
  def put(data, by_hand=False):
    stream = io.TextIOWrapper(io.BytesIO(data))
    stream.isatty = lambda: by_hand
    monkeypatch.setattr(sys, "stdin", stream)
  return put


def _refusing(questions):
  """Takes what it is told; refuses one that is wrong."""
  if questions == ["wrong"]:
    raise UserError("a wrong one")
  print(questions)


def test_words_are_told_together(capsys):
  questions_asked.answer_all(["who?", "where?"], _refusing)
  assert capsys.readouterr().out == "['who?', 'where?']\n"


def test_lines_of_standard_input_one_by_one(stdin, capsys):
  stdin("who?\n\n  wo ist Zürich?\r\nlast".encode() + b"\xff")
  questions_asked.answer_all(["-"], _refusing)
  printed = capsys.readouterr()
  assert printed.out == "['who?']\n['wo ist Zürich?']\n['last\\udcff']\n" and not printed.err
  stdin(b"wrong\nwho?\n")
  with pytest.raises(UserError):
    questions_asked.answer_all(["-"], _refusing)


def test_by_hand_a_wrong_one_is_not_the_end(stdin, capsys):
  stdin(b"wrong\nwho?\n", by_hand=True)
  questions_asked.check_questions([], "ask")
  questions_asked.answer_all([], _refusing)
  printed = capsys.readouterr()
  assert printed.out == "['who?']\n" and "realm: a wrong one" in printed.err


@pytest.mark.parametrize("command", ["ask", "search"])
def test_without_a_question_it_says_so_at_once(stdin, capsys, command):
  stdin(b"")
  assert realm(command, "--workdir=nowhere") == 2
  assert f'give a question: realm {command} --workdir=DIR "Who' in capsys.readouterr().err
  assert realm(command, "--workdir=nowhere", "  ") == 2
  assert "question 1 is empty or blank" in capsys.readouterr().err


def test_nothing_of_this_loads_tensorflow():
  script = ("import sys; from realm_tf.cli import main; code = main.run(['ask'])\n"
            "sys.exit(code if 'tensorflow' not in sys.modules else 'TensorFlow was loaded')")
  completed = subprocess.run([sys.executable, "-c", script], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=False)
  assert completed.returncode == 2 and "give a question" in completed.stderr


def test_on_a_terminal_it_asks_for_questions(tmp_path):
  terminal, child = pty.openpty()
  script = ("from realm_tf.cli import questions_asked as asked\n"
            "asked.check_questions([], 'ask'); asked.answer_all([], print)")
  with subprocess.Popen([sys.executable, "-c", script], stdin=child, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True) as process:
    os.close(child)
    os.write(terminal, b"who?\n\x04")
    out, err = process.communicate()
  os.close(terminal)
  assert (process.returncode, out) == (0, "['who?']\n") and "Ctrl-D ends" in err
