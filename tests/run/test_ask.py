"""Questions that cannot be asked: one line, exit code 2, before any model is read."""

import json

import pytest

from realm_tf.run.folder import Run
from tests import tiny
from tests.command import realm


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
  """A run with a config and nothing else: what gets beyond the questions fails."""
  folder = tmp_path_factory.mktemp("asking")
  return Run(tiny.make_config(folder), folder / "run").path


def _refused(capsys, *words):
  assert realm(*words) == 2
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == 1 and lines[0].startswith("realm: ")
  return lines[0]


# What `$'\xff'` is in Python's arguments; white space that is not seen; nothing.
@pytest.mark.parametrize("word, message", [
    ("\udcff", "question 2 holds half a surrogate pair, or a byte that is not UTF-8: '"),
    ("who?\ud800", "question 2 holds half a surrogate pair"),
    ("", "question 2 is empty or blank"), (" \t", "question 2 is empty or blank"),
    ("\u200b\u00a0", "question 2 is empty or blank")])
@pytest.mark.parametrize("flag", ["--workdir", "--export"])
def test_a_word_that_is_no_question_is_named(run, capsys, flag, word, message):
  assert message in _refused(capsys, "ask", f"{flag}={run}", "who?", word)


@pytest.mark.parametrize("words, message", [
    (["--threshold=1.01"], "threshold 1.01: expected a probability from 0 to 1"),
    (["--threshold=-0.1"], "threshold -0.1: expected"),
    (["--threshold=nan"], "threshold nan: expected"), (["--threshold=x"], "--threshold=x"),
    (["--precision=0"], "precision 0: expected a share above 0, at most 1"),
    (["--precision=1.5"], "precision 1.5: expected"),
    (["--threshold=0.5", "--precision=0.5"], "threshold and precision: give one of both"),
    (["--top_n=0"], "--top_n=0"), (["--top_n=101"], "--top_n=101"),
    (["--top_n=many"], "--top_n=many")])
@pytest.mark.parametrize("command", ["ask", "predict", "export"])
def test_a_number_that_cannot_be_meant_is_named(run, capsys, tmp_path, command, words,
                                                message):
  (tmp_path / "q.jsonl").write_text('{"question": "who?"}\n')
  arguments = {"ask": ["ask", f"--workdir={run}", "who?"],
               "export": ["ask", f"--export={run}", "who?"],
               "predict": ["predict", f"--workdir={run}",
                           f"--questions={tmp_path / 'q.jsonl'}",
                           f"--output={tmp_path / 'a.jsonl'}"]}[command]
  assert message in _refused(capsys, *arguments, *words)
  assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize("other", ["workdir", "config"])
def test_an_export_and_a_run_are_not_asked_at_once(run, capsys, other):
  assert f"--export and --{other}: give one of both" in _refused(
      capsys, "ask", f"--export={run}", f"--{other}={run}", "who?")


def test_a_precision_of_a_model_that_is_not_calibrated(run, capsys):
  assert "precision 0.9: this model is not calibrated" in _refused(
      capsys, "ask", f"--workdir={run}", "who?", "--precision=0.9")
  assert "no export there" in _refused(
      capsys, "ask", f"--export={run}", "who?", "--precision=0.9")


@pytest.mark.parametrize("content, message", [
    (b"", "no questions"), (b'{"question": "who?"}', "field 'answer' is missing"),
    (b'{"question": "who?", "answer": "I"}', "dev.jsonl: 1 question to calibrate by; at"),
    (None, "run: no questions are named to calibrate by: `realm calibrate --workdir=")])
def test_what_cannot_be_calibrated_by_is_named(run, capsys, tmp_path, content, message):
  (tmp_path / "dev.jsonl").write_bytes(content or b"")
  named = [] if content is None else [f"--questions={tmp_path / 'dev.jsonl'}"]
  assert message in _refused(capsys, "calibrate", f"--workdir={run}", *named)
  assert not (run / "evaluation").exists()


def test_answers_that_mean_nothing_are_not_calibrated(run, capsys, tmp_path):
  (tmp_path / "dev.jsonl").write_text("".join(
      f'{{"question": "who is {number}?", "answer": "I"}}\n' for number in range(20)))
  assert "no reader is trained yet" in _refused(
      capsys, "calibrate", f"--workdir={run}", f"--questions={tmp_path / 'dev.jsonl'}")


@pytest.mark.parametrize("line, message", [
    (b'{"question": 5}', ":2: field 'question' is int; expected a string"),
    (b'{"question": null}', ":2: field 'question' is missing (null)"),
    (b'{"query": "who?"}', ":2: field 'question' is missing (rename 'query' to 'question')"),
    (b'{"question": "\\ud800"}', ":2: field 'question' holds half a surrogate pair"),
    (b'{"question": "\\u200b"}', ":2: field 'question' is empty or blank"),
    (b'{"question": "who?", "id": 1}', ":2: field 'id': '1' is there already, in line 1"),
    (b'{"question": "who?", "id": null}', ":2: field 'id' is missing (null)"),
    (b"null", ":2: JSON null; expected one object per line"), (b'"who?"', ":2: JSON str"),
    (b'["who?"]', ":2: JSON list"), (b"who?", ":2: not valid JSON"),
    (b'{"question": "\xff"}', ":2: not UTF-8"), (b"[" * 9999, ":2: not valid JSON")])
def test_a_line_that_is_no_question_is_named(run, capsys, tmp_path, line, message):
  (tmp_path / "q.jsonl").write_bytes(b'{"question": "who?"}\n' + line + b"\n")
  assert f"q.jsonl{message}" in _refused(
      capsys, "predict", f"--workdir={run}", f"--questions={tmp_path / 'q.jsonl'}",
      f"--output={tmp_path / 'a.jsonl'}")
  assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize("content, message", [
    (b"", "no questions in it"), (b"\n \n", "no questions in it"),
    (json.dumps(["who?"]).encode(), ":1: JSON list; expected one object"),
    (json.dumps(["who?"], indent=1).encode(), "an array that goes on"),
    (json.dumps({"question": "who?"}, indent=1).encode(), "an object that goes on"),
    ("who?".encode("utf-16"), "looks like UTF-16"), (b"PK\x03\x04", "looks like a zip")])
def test_a_file_without_lines_of_questions_is_named(run, capsys, tmp_path, content, message):
  (tmp_path / "q").write_bytes(content)
  for path in (tmp_path / "q", tmp_path, tmp_path / "none"):
    expected = message if path.is_file() else "cannot be read"
    assert expected in _refused(capsys, "predict", f"--workdir={run}", f"--questions={path}",
                                f"--output={tmp_path / 'a.jsonl'}")
