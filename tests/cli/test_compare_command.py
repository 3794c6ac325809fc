"""`realm compare` of files: the table, the numbers, and what it refuses."""

import json

import pytest

from tests.command import realm


def _lines(path, records):
  path.write_text("".join(json.dumps(record) + "\n" for record in records))
  return path


def _records(right, count=40, **more):
  return [{"id": str(i), "question": f"q{i}?", "prediction": "x" if i in right else "y",
           "passages": [{"id": "d", "text": "x" if i in right else "none"}], **more}
          for i in range(count)]


@pytest.fixture(name="files")
def _files(tmp_path):
  _lines(tmp_path / "q.jsonl", [{"id": str(i), "question": f"q{i}?", "answer": "x"}
                                for i in range(40)])
  _lines(tmp_path / "a.jsonl", _records(range(10)))
  _lines(tmp_path / "b.jsonl", reversed(_records(range(5, 25))))
  return tmp_path


def test_two_files_of_predictions(files, capsys):
  names = [files / "a.jsonl", files / "b.jsonl"]
  assert realm("compare", *names, f"--questions={files}/q.jsonl", "--json") == 0
  compared = json.loads(capsys.readouterr().out)
  assert [compared["a"], compared["b"]] == [str(name) for name in names]
  assert compared["figures"].keys() == {"recall@1", "recall@1_by_substring", "exact_match",
                                        "exact_match_by_words", "f1"}
  for figure in compared["figures"].values():
    assert (figure["a"], figure["b"], figure["difference"]) == (0.25, 0.5, 0.25)
    assert (figure["a_wins"], figure["b_wins"], figure["questions"]) == (5, 15, 40)
    assert 0 < figure["low"] < 0.25 < figure["high"]
    assert figure["p"] == pytest.approx(0.041, abs=0.01)
  for depths in ("3", "(3,)", "[3, 4]"):  # as the setting is written, or without brackets
    assert realm("compare", *names, f"--questions={files}/q.jsonl",
                 f"--recall_at={depths}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"A  {names[0]}"
    assert lines[5].split()[:4] == ["exact_match", "25.0", "50.0", "+25.0"]


def _refused(capsys, *words):
  capsys.readouterr()
  assert realm("compare", *words) == 2
  error = capsys.readouterr()
  lines = [line for line in error.err.splitlines() if line.startswith("realm: ")]
  assert len(lines) == 1 and not error.out
  return lines[0]


def test_what_cannot_be_compared_is_one_line(files, capsys):
  a, b, questions = files / "a.jsonl", files / "b.jsonl", f"--questions={files}/q.jsonl"
  assert "expected two" in _refused(capsys, a)
  assert "expected two" in _refused(capsys, a, b, a)
  assert "a.jsonl: prediction 1: field 'answers' does not hold" in _refused(capsys, a, b)
  assert "none.jsonl: cannot be read" in _refused(capsys, a, files / "none.jsonl", questions)
  assert "no config.json" in _refused(capsys, files, b, questions)
  assert "--recall_at" in _refused(capsys, a, b, questions, "--recall_at=0")
  _lines(files / "fewer.jsonl", _records((), 39))
  assert "fewer.jsonl: the questions differ: 'q39?'" in _refused(
      capsys, a, files / "fewer.jsonl", questions)
  _lines(files / "more.jsonl", _records((), 41))
  assert "more.jsonl: the questions differ: 'q40?'" in _refused(
      capsys, files / "more.jsonl", b, questions)
  _lines(files / "twice.jsonl", _records((), 40) + _records((), 1))
  assert "twice.jsonl:41: field 'id': '0' is there already" in _refused(
      capsys, a, files / "twice.jsonl", questions)


def test_evaluations_hold_the_right_answers(files, capsys):
  for name, answers, right in (("c", ["x"], range(9)), ("d", ["x"], ()), ("e", ["y"], ())):
    _lines(files / f"{name}.jsonl", _records(right, answers=answers))
  assert realm("compare", files / "c.jsonl", files / "d.jsonl", "--json") == 0
  difference = json.loads(capsys.readouterr().out)["figures"]["exact_match"]
  assert (difference["a_wins"], difference["b_wins"]) == (9, 0)
  assert "e.jsonl: the questions differ: the right answers to 'q0?'" in _refused(
      capsys, files / "c.jsonl", files / "e.jsonl")
  assert realm("compare", files / "c.jsonl", files / "e.jsonl",
               f"--questions={files}/q.jsonl") == 0


def test_runs_by_their_folders(files, capsys):
  for name, right in (("one", range(9)), ("two", range(20))):
    (files / name / "evaluation").mkdir(parents=True)
    (files / name / "config.json").write_text("{}")
    for stage in ("ict", "finetune", "bm25"):
      _lines(files / name / "evaluation" / f"{stage}.predictions.jsonl",
             _records(right if stage == "finetune" else (), answers=["x"]))
  runs = [files / "one", files / "two"]
  for flags, wins in (([], 11), (["--stage=ict"], 0), (["--stage=BM25"], 0)):
    capsys.readouterr()
    assert realm("compare", *runs, "--json", *flags) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["figures"]["exact_match"]["b_wins"] == wins
  assert "pretrain was not evaluated" in _refused(capsys, *runs, "--stage=pretrain")
  (files / "none").mkdir()
  (files / "none" / "config.json").write_text("{}")
  assert "none: no stage was evaluated" in _refused(capsys, files / "none", runs[0])
  capsys.readouterr()
  assert realm("compare", files / "one" / "evaluation" / "ict.predictions.jsonl", runs[0],
               "--json") == 0
  assert json.loads(capsys.readouterr().out)["figures"]["f1"]["b_wins"] == 9
