"""A finished run is measured by other questions, and learns from more of them."""

import json
import re

import pytest

from realm_tf import config as config_lib
from tests import tiny
from tests.command import finished, realm


def _write(path, questions):
  path.write_text("".join(json.dumps({"question": question.question,
                                      "answer": list(question.answers)}) + "\n"
                          for question in questions))
  return str(path)


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A run of documents and a few questions, whose `dpr` was left out: they are too few."""
  folder = tmp_path_factory.mktemp("world")
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  questions = tiny.questions()
  config = tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"), ict__steps=0, dpr__steps=2,
      dpr__least_questions=len(questions) - 3, cloze__steps=2, cloze__form="question",
      pretrain__steps=0, finetune__steps=2, dev__share=0.0, evaluate__unanswerable=0,
      finetune__questions=_write(folder / "few.jsonl", questions[:5]),
      evaluate__questions=_write(folder / "asked.jsonl", questions[-3:]))
  _write(folder / "more.jsonl", questions[:6])
  _write(folder / "enough.jsonl", questions[:-3])
  (folder / "config.json").write_text(json.dumps(config_lib.to_dict(config)))
  done = finished("run", f"--config={folder}/config.json", f"--workdir={folder}/run")
  assert done.returncode == 0, done.stderr
  (folder / "log").write_text(done.stderr)
  return folder


def test_few_held_out_questions_are_told_of_once(world):
  log = (world / "log").read_text()
  assert log.count("warning: 3 held-out questions tell little: these figures") == 1
  assert log.count("held-out questions tell") == 1
  assert "does not exclude 0" not in log


def _files(folder):
  return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
          for path in folder.rglob("*") if path.is_file()}


def _figures(text):
  return dict(re.findall(r"^(\S+) +(\S+)", text, re.M))


def test_a_file_measures_and_nothing_changes(world, capsys, caplog):
  run = world / "run"
  assert realm("evaluate", f"--workdir={run}") == 0
  expected = _figures(capsys.readouterr().out)
  before = _files(run)
  assert realm("evaluate", f"--workdir={run}", f"--questions={world}/asked.jsonl") == 0
  actual = _figures(capsys.readouterr().out)
  assert {"exact_match", "recall@1", "questions"} <= actual.keys()
  assert actual == {name: value for name, value in expected.items() if name in actual}
  assert "trained on" not in caplog.text and "to train on" not in caplog.text
  assert realm("evaluate", f"--workdir={run}", f"--questions={world}/enough.jsonl",
               "--stage=cloze") == 0
  assert _figures(capsys.readouterr().out)["questions"] != actual["questions"]
  assert "5 of " in caplog.text and "among those to train on" in caplog.text
  assert _files(run) == before


def test_a_trained_model_is_measured_on_other_documents_at_once(world, tmp_path, capsys):
  run = tmp_path / "other"
  assert realm("init", str(run), f"--model={world}/run",
               f"--documents={world}/documents.jsonl") == 0
  capsys.readouterr()
  assert realm("evaluate", f"--workdir={run}", f"--questions={world}/asked.jsonl") == 0
  assert "exact_match" in _figures(capsys.readouterr().out)


def test_what_a_file_cannot_measure_is_refused(world, tmp_path, capsys):
  run = world / "run"
  (tmp_path / "q.jsonl").write_text('{"question": "who?", "answer": ["nobody known"]}\n')
  for words, said in (
      (["--redo=evaluate", f"--questions={world}/asked.jsonl"], "--questions and --redo: "),
      ([f"--questions={tmp_path}/none"], f"--questions={tmp_path}/none: cannot be read"),
      ([f"--questions={tmp_path}/q.jsonl"], f"{tmp_path}/q.jsonl: no usable question")):
    assert realm("evaluate", f"--workdir={run}", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_more_questions_train_what_learns_from_them(world, capsys):
  run = world / "run"
  assert not (run / "dpr").exists()
  before = _files(run / "cloze")
  more = f"--config.finetune.questions={world}/more.jsonl"
  assert realm("run", f"--workdir={run}", more) == 2
  assert "--redo=finetune makes finetune" in capsys.readouterr().err
  assert realm("run", f"--workdir={run}", more, "--redo=finetune") == 0
  assert "6 questions to train on" in capsys.readouterr().out
  assert _files(run / "cloze") == before
  assert (run / "finetune.1").exists() and (run / "finetune" / "done.json").exists()
  # So many that the retriever could learn from them: that comes before, so it is said.
  enough = f"--config.finetune.questions={world}/enough.jsonl"
  assert realm("run", f"--workdir={run}", enough, "--redo=finetune") == 0
  printed = capsys.readouterr().out
  assert "left out: cloze was trained without it, and would not begin with it" in printed
  assert _files(run / "cloze") == before and not (run / "dpr").exists()
  assert realm("run", f"--workdir={run}", "--redo=dpr") == 0
  assert (run / "dpr" / "done.json").exists()
  assert (run / "cloze.3").exists() and (run / "finetune.3").exists()


def test_a_stage_that_was_not_asked_for_then_is_now(world, capsys, tmp_path):
  config = config_lib.with_changes(config_lib.read(world / "config.json"),
                                   {"dpr.steps": 0, "cloze.steps": 0})
  (world / "other.json").write_text(json.dumps(config_lib.to_dict(config)))
  run = tmp_path / "run"
  assert realm("run", f"--config={world}/other.json", f"--workdir={run}") == 0
  assert realm("run", f"--workdir={run}", "--config.dpr.steps=2") == 2
  assert "dpr.steps (0 there, 2 now)" in capsys.readouterr().err
