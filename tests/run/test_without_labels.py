"""A run of documents alone: warm start, cloze questions, index and export; nobody asks."""

import json
import pathlib

import numpy as np
import pytest

from realm_tf.errors import UserError
from realm_tf.run.folder import Run
from realm_tf.run.make_report import stage_rows
from realm_tf.run.pipeline import whole_run
from realm_tf.serving.loaded import load
from tests import tiny
from tests.command import finished


def _config(folder, **changes):
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  return tiny.make_config(folder, corpus__source=str(folder / "documents.jsonl"), **{
      "ict__objective": "recurring_spans", "ict__steps": 4, "pretrain__steps": 0,
      "cloze__steps": 4, "finetune__steps": 0, **changes})


def test_documents_alone_become_an_export_that_answers(tmp_path, capsys, caplog):
  run = Run(_config(tmp_path), tmp_path / "run")
  whole_run(run)
  assert "25 blocks, no questions: nothing is measured" in capsys.readouterr().out
  assert "nobody knows how many answers of this reader are right" in caplog.text
  assert run.newest_stage() == "cloze" and run.is_done("ict")
  assert not (run.path / "evaluation").exists() and not stage_rows(run)
  assert "recurring_spans" in (run.path / "report.html").read_text()
  ict, cloze = run.model("ict"), run.model("cloze")
  for old, new in zip(ict.retriever.variables, cloze.retriever.variables, strict=True):
    np.testing.assert_array_equal(old, new)
  assert any((old.numpy() != new.numpy()).any() for old, new in zip(
      ict.encoder.span_head.variables, cloze.encoder.span_head.variables))
  answer, = load(run.path / "export").answer(["what is the capital of france"])
  assert answer["answer"] and answer["answer"] in answer["passage"]
  again = finished("cloze", f"--workdir={run.path}")
  assert again.returncode == 0 and "done already" in again.stdout
  refused = finished("diagnose", f"--workdir={run.path}", "--stage=cloze")
  assert refused.returncode == 2 and "does not predict masked words" in refused.stderr


@pytest.mark.slow
def test_without_training_questions_it_can_be_measured(tmp_path):
  questions = tmp_path / "questions.jsonl"
  questions.write_text('{"question": "what is the capital of france?", "answer": "Paris"}\n')
  run = Run(_config(tmp_path, ict__steps=0, evaluate__questions=str(questions)),
            tmp_path / "run")
  whole_run(run)
  assert [row.name for row in stage_rows(run)] == [
      "BM25", "warm start", "cloze", "cloze + BM25"]
  assert "cloze" in (run.path / "table.txt").read_text()


def test_one_block_is_enough_to_ask_about_it(tmp_path):
  run = Run(_config(tmp_path, ict__steps=0, cloze__form="question"), tmp_path / "run")
  document = {"text": "The old tower of Ona is by the river, and many people live there."}
  pathlib.Path(run.config.corpus.source).write_text(json.dumps(document) + "\n")
  whole_run(run)
  assert run.newest_stage() == "cloze"
  assert not list((run.path / "corpus.derived").glob("near_duplicates*"))


def test_a_run_that_trains_on_questions_must_have_them(tmp_path):
  run = Run(_config(tmp_path, finetune__steps=1), tmp_path / "run")
  with pytest.raises(UserError, match="config.finetune.questions: name a JSONL file"):
    whole_run(run)
  assert not run.is_done("ict")


def test_example_questions_where_nothing_learns_to_answer(tmp_path, capsys):
  run = Run(_config(tmp_path, ict__steps=0, cloze__steps=0,
                    demo_questions=("what is the capital of france?",)), tmp_path / "run")
  whole_run(run)
  printed = capsys.readouterr()
  assert "these are the passages that it would read" in printed.err
  assert "Q: what is the capital of france?" in printed.out
  assert (run.path / "report.html").exists()
