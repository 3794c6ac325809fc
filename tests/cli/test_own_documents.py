"""Own documents from the first minute: init, search, ask, run, list, as people type them."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest

from realm_tf import config as config_lib
from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.run.pipeline import whole_run
from realm_tf.run.trained_reader import has_reader
from tests import tiny
from tests.command import realm


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A folder with documents, questions and a small BERT."""
  folder = tmp_path_factory.mktemp("own")
  tiny.write_bert(folder / "bert")
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  (folder / "questions.jsonl").write_text("".join(
      json.dumps({"question": question.question, "answer": list(question.answers)}) + "\n"
      for question in tiny.questions()))
  return folder


@pytest.fixture(name="init")
def _init(world, tmp_path):
  """`realm init`, with the sizes of the small BERT in place of the recipe's."""
  small = ("assets=()", f"retriever.weights={world}/bert", f"encoder.weights={world}/bert",
           "retriever.query_length=32", "retriever.document_length=64",
           "corpus.max_block_tokens=64", "pretrain.query_length=32",
           "pretrain.encoder_length=96", "finetune.reader_length=96",
           "retriever.projection_size=32")
  return lambda *words: realm(
      "init", tmp_path / "run", *([] if "--documents" in " ".join(words) else
                                  [f"--documents={world}/documents.jsonl"]),
      *(f"--config.{setting}" for setting in small), *words)


def _said(capsys):
  return capsys.readouterr().out


def test_passages_at_once_and_no_answer_of_an_untrained_head(
    init, world, tmp_path, capsys, caplog):
  assert init() == 0
  run = tmp_path / "run"
  assert [path.name for path in run.iterdir()] == ["config.py"]
  assert "realm run --workdir=" in _said(capsys)
  question = "What is the capital of France?"
  assert realm("list", f"--workdir={run}") == 0
  assert f"not read yet: {world}/documents.jsonl" in _said(capsys)
  assert realm("search", f"--workdir={run}", "--k=3", "--json", question) == 0
  (searched,) = map(json.loads, _said(capsys).splitlines())
  texts = {document.id: document.text for document in tiny.documents()}
  assert searched["question"] == question and len(searched["passages"]) == 3
  assert all(texts[passage["id"]] == passage["text"] for passage in searched["passages"])
  opened = Run.existing(run)
  assert opened.search([question], 3) == [searched["passages"]]
  assert len(opened.search(["Oslo", question], 2)) == 2 and opened.search([]) == []
  with pytest.raises(ValueError, match="got a single one"):
    opened.search(question)
  (ranked,) = opened.search([question], 1000)
  scores = [passage["score"] for passage in ranked]
  assert {passage["id"] for passage in ranked} == set(texts)
  assert scores == sorted(scores)[::-1]

  assert realm("ask", f"--workdir={run}", "--json", question) == 0
  printed = capsys.readouterr()
  record = json.loads(printed.out)
  assert record["answer"] == "" and record["answerable"] is False
  assert [passage["id"] for passage in record["passages"]] == [
      passage["id"] for passage in ranked[:5]]
  assert "no reader is trained yet" in printed.err
  assert realm("ask", f"--workdir={run}", question) == 0
  printed = _said(capsys)
  assert "A:" not in printed and ranked[0]["text"][:20] in printed
  assert realm("predict", f"--workdir={run}", f"--questions={world}/questions.jsonl",
               f"--output={tmp_path}/answers.jsonl") == 0
  assert "predict: no reader is trained yet" in caplog.text


@pytest.mark.stress
def test_documents_alone_become_what_answers(init, tmp_path, capsys):
  assert init("--config.cloze.steps=3") == 0
  run = tmp_path / "run"
  assert realm("run", f"--workdir={run}") == 0
  assert "25 blocks, no questions: nothing is measured" in _said(capsys)
  assert not (run / "questions").exists() and not (run / "evaluation").exists()
  assert realm("run", f"--workdir={run}") == 0  # goes on, and nothing is left to do
  assert realm("list", f"--workdir={run}") == 0
  printed = _said(capsys)
  assert "25 in 25 blocks" in printed and "cloze       done: 3 steps" in printed
  assert "export      portable" in printed and "finetune" not in printed
  assert printed.count("25 blocks, float32") == 1
  assert realm("ask", f"--workdir={run}", "What is the capital of France?") == 0
  printed = capsys.readouterr()
  assert "A: " in printed.out and "no reader" not in printed.err


@pytest.mark.slow
def test_a_model_goes_to_other_documents(init, world, tmp_path, capsys):
  assert init("--config.cloze.steps=2") == 0
  old, new = tmp_path / "run", tmp_path / "other"
  words = ("init", new, f"--model={old}", f"--documents={world}/other.jsonl")
  (world / "other.jsonl").write_text(
      '{"id": "a", "text": "Lima is the capital of Peru."}\n'
      '{"id": "b", "text": "Many people live by the river."}\n')
  assert realm(*words) == 2  # no stage is done
  assert "no trained model there" in capsys.readouterr().err and not new.exists()
  run = Run.existing(old)
  stages.corpus(run)
  stages.cloze(run)
  assert realm(*words) == 0
  assert realm("predict", f"--workdir={new}", f"--questions={world}/questions.jsonl",
               f"--output={tmp_path}/answers.jsonl") == 0  # which reads the documents
  moved = Run.existing(new)
  assert moved.corpus.document_ids == ["a", "b"] and moved.newest_stage() == "cloze"
  for trained, brought in zip(run.model("cloze").variables, moved.model("cloze").variables,
                              strict=True):
    np.testing.assert_array_equal(trained, brought)
  capsys.readouterr()
  assert realm("ask", f"--workdir={new}", "Where do people live?") == 0
  assert "A: " in _said(capsys)
  assert realm("list", f"--workdir={new}") == 0
  listing = _said(capsys)
  assert f"the model of {old}, stage cloze" in listing and "2 in 2 blocks" in listing

  further = tmp_path / "further"
  assert realm("init", further, f"--model={old}", f"--documents={world}/documents.jsonl",
               f"--questions={world}/questions.jsonl") == 0
  config, run = config_lib.read_folder(further), Run.existing(further)
  assert run.stage_before("dpr") == "pretrain" and has_reader(run)
  assert config.dpr.steps and config.finetune.steps and not config.cloze.steps
  assert config.finetune.questions == f"{world}/questions.jsonl"


@pytest.mark.slow
def test_a_reader_goes_to_other_documents_and_learns_on(init, world, tmp_path, capsys):
  assert init("--config.cloze.steps=2", "--config.encoder.span_hidden_size=48") == 0
  old, new = Run.existing(tmp_path / "run"), tmp_path / "new"
  small = ("assets=()", f"retriever.weights={world}/bert", "retriever.query_length=32",
           "retriever.document_length=64", "corpus.max_block_tokens=64",
           "pretrain.query_length=32", "pretrain.encoder_length=96",
           "finetune.reader_length=96", "retriever.projection_size=32")
  words = ("init", new, f"--reader={old.path}", f"--documents={world}/documents.jsonl",
           *(f"--config.{setting}" for setting in small))
  stages.corpus(old)
  assert realm(*words) == 2  # no stage is done
  assert "no trained model there" in capsys.readouterr().err and not new.exists()
  stages.cloze(old)
  assert realm(*words, f"--model={old.path}") == 2
  assert realm(*words, f"--config.encoder.weights={world}/bert") == 2
  assert realm(*words, "--config.cloze.stepz=3") == 2 and not new.exists()
  assert realm(*words, "--config.cloze.steps=3") == 0

  new.rename(tmp_path / "moved")
  run = Run.existing(tmp_path / "moved")
  assert run.config.encoder.span_hidden_size == 48 and run.config.cloze.steps == 3
  stages.corpus(run)
  assert has_reader(run)
  before, after = old.model("cloze").encoder, run.model(run.newest_stage()).encoder
  for trained, brought in zip(
      (*before.bert.variables, *before.span_head.variables),
      (*after.bert.variables, *after.span_head.variables), strict=True):
    np.testing.assert_array_equal(trained, brought)
  stages.cloze(run)
  assert run.newest_stage() == "cloze"


@pytest.mark.stress
def test_few_questions_are_all_trained_on(init, world, tmp_path, capsys):
  assert init(f"--questions={world}/questions.jsonl", "--config.cloze.steps=2",
              "--config.dpr.steps=2") == 0
  run = Run.existing(tmp_path / "run")
  whole_run(run)
  printed = _said(capsys)
  assert "12 questions to train on, too few to hold some out: nothing is measured" in printed
  assert "no dev questions (100 or more" in printed
  assert not run.is_done("dpr") and run.steps("finetune") == 6  # 6 passes over a batch
  assert not (run.path / "evaluation").exists()


@pytest.mark.slow
def test_a_file_to_measure_by(init, world, tmp_path, capsys):
  assert init(f"--questions={world}/questions.jsonl", "--config.cloze.steps=2",
              f"--eval_questions={world}/questions.jsonl", "--config.finetune.passes=1") == 0
  assert realm("run", f"--workdir={tmp_path}/run") == 0
  printed = _said(capsys)
  assert "12 questions to train on, 12 to measure by" in printed
  assert "12 questions to measure by:" in printed and "held out" not in printed
  assert "left out: 12 questions to train on are fewer than dpr.least_questions=90" in printed


def test_two_documents_that_nothing_can_be_asked_of(init, tmp_path, capsys, caplog):
  (tmp_path / "docs").mkdir()
  (tmp_path / "docs" / "one.txt").write_text("It is old.")
  (tmp_path / "docs" / "two.txt").write_text("The river is great.")
  assert init(f"--documents={tmp_path}/docs") == 0
  assert realm("run", f"--workdir={tmp_path}/run") == 0
  assert "left out: cloze questions" in _said(capsys)
  assert "export: no reader is trained yet" in caplog.text
  assert realm("search", f"--workdir={tmp_path}/run", "river") == 0
  _said(capsys)
  assert realm("list", f"--workdir={tmp_path}/run") == 0
  assert "cloze       left out: cloze questions" in _said(capsys)
  other = "--config.cloze.form=sentence"  # of which nobody knows yet
  assert realm("list", f"--workdir={tmp_path}/run", other) == 0
  assert "cloze       to do" in _said(capsys)


def test_what_questions_are_too_few_for_is_listed_as_left_out(init, world, tmp_path, capsys):
  assert init(f"--questions={world}/questions.jsonl", "--config.dpr.least_questions=13") == 0
  _said(capsys)
  for least, line in ((13, "left out: 12 questions to train on are fewer than dpr.least_"),
                      (12, "to do")):
    assert realm("list", f"--workdir={tmp_path}/run",
                 f"--config.dpr.least_questions={least}") == 0
    assert f"dpr         {line}" in _said(capsys)


def test_a_config_may_be_changed_until_documents_are_read(init, tmp_path, capsys, caplog):
  assert init("--config.name=first") == 0
  path, run = tmp_path / "run" / "config.py", tmp_path / "run"
  right = path.read_text()
  path.write_text(right.replace("documents.jsonl", "mistyped.jsonl"))
  assert realm("corpus", f"--workdir={run}") == 2
  assert "mistyped.jsonl" in capsys.readouterr().err
  path.write_text(right.replace("  return", "  config.seed = 5\n  return"))
  assert realm("corpus", f"--workdir={run}") == 0
  assert Run.existing(run).config.seed == 5 and Run.existing(run).config.name == "first"
  path.write_text(right.replace("  return", "  config.seed = 6\n  return"))
  os.utime(path, (2e9, 2e9))
  assert realm("list", f"--workdir={run}") == 0
  assert "config.py: was changed after the run had begun" in caplog.text
  assert Run.existing(run).config.seed == 5


@pytest.mark.parametrize("words, message", [
    (["--documents=nowhere"], "nowhere: no such file or folder of documents"),
    (["--documents="], "--documents is missing"), (["other"], "name one folder"),
    (["--questions=nowhere"], "nowhere: cannot be read"),
    (["--eval_questions=nowhere"], "nowhere: cannot be read"),
    (["--documents=bert/model.safetensors"], "bert/model.safetensors"),
    (["--documents=empty.jsonl"], "empty.jsonl: "),
    (["--documents=/dev/null"], "/dev/null: is no file and no folder"),
    (["--questions=documents.jsonl"], "field 'question' is missing"),
    (["--config=demo"], "--config: `realm init` writes one"),
    (["--config.ict.steps=-1"], "--config.ict.steps: expected"),
    (["--config.refresh.every=9999"], "config.refresh.max_staleness: expected at least")])
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    init, world, tmp_path, monkeypatch, capsys, words, message):
  monkeypatch.chdir(world)
  (world / "empty.jsonl").write_text('{"id": "1", "text": " "}\n')
  assert init(*words) == 2
  lines = capsys.readouterr().err.splitlines()
  assert message in lines[-1] and lines[-1].startswith("realm: ")
  assert not list(tmp_path.iterdir())


def test_a_folder_that_is_in_use_is_refused(init, world, tmp_path, capsys):
  (tmp_path / "run").mkdir()
  assert init() == 0
  before = (tmp_path / "run" / "config.py").read_bytes()
  assert init() == 2
  assert "run: is not empty; name a new folder" in capsys.readouterr().err
  assert (tmp_path / "run" / "config.py").read_bytes() == before
  assert realm("init", world / "documents.jsonl", f"--documents={world}/bert") == 2
  assert "is a file; name a new folder" in capsys.readouterr().err
  assert realm("init", world / "bert" / "run", f"--documents={world}") == 2
  assert "lies in the folder of documents" in capsys.readouterr().err


def test_paths_do_not_depend_on_where_one_stands(world, tmp_path, monkeypatch):
  monkeypatch.chdir(world)
  monkeypatch.setenv("XDG_CACHE_HOME", f"{world}/cache")
  assert realm("init", tmp_path / "run", "--documents=documents.jsonl",
               "--questions=questions.jsonl", "--config.encoder.weights=bert") == 0
  monkeypatch.chdir(tmp_path)
  config = config_lib.read_folder("run")
  assert config.corpus.source == f"{world}/documents.jsonl"
  assert config.finetune.questions == f"{world}/questions.jsonl"
  assert config.encoder.weights == f"{world}/bert"
  assert config.retriever.weights == f"{world}/cache/realm_tf/weights/minilm"
  assert not config.trivia and not config.demo_questions and config.assets == ("minilm",)


def test_configs_of_the_package_go_by_name(tmp_path, monkeypatch):
  by_path = config_lib.read("configs/demo.py")
  monkeypatch.chdir(tmp_path)
  (tmp_path / "demo").mkdir()  # such as the folder of a run
  assert config_lib.read("demo") == by_path
  assert config_lib.read("own:docs").corpus.source == str(tmp_path / "docs")


def test_init_does_not_wait_for_tensorflow(world, tmp_path):
  script = ("import sys; from realm_tf.cli import main\n"
            f"main.run(['init', {str(tmp_path / 'run')!r}, "
            f"'--documents={world}/documents.jsonl'])\n"
            "sys.exit('tensorflow' in sys.modules)")
  completed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                             check=False)
  assert completed.returncode == 0, completed.stderr


def test_questions_that_nothing_would_learn_from_are_refused(init, world, tmp_path, capsys):
  assert init("--config.cloze.steps=2") == 0
  assert realm("run", f"--workdir={tmp_path}/run",
               f"--config.finetune.questions={world}/questions.jsonl") == 2
  said = capsys.readouterr().err
  assert "would not be learnt from, since finetune.steps is 0" in said
  given = shlex.split(said.partition("`realm ")[2].partition("`")[0])
  assert realm(*given, "--config.finetune.passes=1") == 0
  assert Run.existing(tmp_path / "run").is_done("finetune")
