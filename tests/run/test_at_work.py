"""Two commands on one folder, and commands that are stopped."""

import importlib
import json
import operator
import os
import shutil
import signal
import subprocess
import sys

import pytest

from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.run import stages
from realm_tf.run.folder import Run
from tests import tiny
from tests.cli.paused import paused
from tests.command import realm


@pytest.fixture(name="fresh", scope="module")
def _fresh(tmp_path_factory):
  """A run with a corpus and its index, and a document that may be added."""
  folder = tmp_path_factory.mktemp("fresh")
  for name, documents in (("documents", tiny.documents()),
                          ("more", [Document("ona", "Ona", "Ona is old.")])):
    (folder / f"{name}.jsonl").write_text(
        "".join(json.dumps(vars(document)) + "\n" for document in documents))
  (folder / "questions.jsonl").write_text(
      '{"question": "what is the capital of france?", "answer": ["Paris"]}\n')
  run = Run(tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"),
      evaluate__questions=str(folder / "questions.jsonl"),
      evaluate__masked_sentences=0, ict__steps=100_000), folder / "run")
  stages.corpus(run)
  run.stored_index(run.model("warm start"))
  return folder


@pytest.fixture(name="run")
def _run(fresh, tmp_path):
  shutil.copytree(fresh / "run", tmp_path / "run")
  return tmp_path / "run"


def _everything(folder):
  """What is in a run, but for the records of commands, and for which blocks a document has:
  that follows from the corpus, and is made when it is first asked for."""
  return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
          for path in folder.rglob("*") if "commands" not in path.parts
          and not any(part.startswith("documents-") for part in path.parts)}


def _hidden(folder):
  return [str(path.relative_to(folder)) for path in folder.rglob(".*")]


def test_the_second_command_names_the_process_that_is_at_work(run, fresh, capsys):
  before = _everything(run)
  workdir = f"--workdir={run}"
  with paused("realm_tf.corpus.changes:write_shards", "add", workdir,
              f"--documents={fresh}/more.jsonl") as first:
    for command in (["add", f"--documents={fresh}/more.jsonl"], ["delete", "odd"],
                    ["compact"], ["corpus"], ["ict"], ["pretrain"], ["finetune"], ["run"]):
      assert realm(command[0], workdir, *command[1:]) == 2
      error = capsys.readouterr().err
      assert error.endswith(f"realm: {run}: `realm add` (process {first.pid}) is writing "
                            "here; wait until it is done, or end it\n"), error
    assert realm("ask", workdir, "what is old?") == 0  # who only reads, reads
    _, log = first.communicate("\n")
  assert first.returncode == 0, log
  assert "ona" in Run.existing(run).corpus.document_ids
  assert len(before) < len(_everything(run)) and not _hidden(run)
  records = [json.loads(path.read_text())["command"][1]
             for path in (run / "commands").iterdir()]
  assert records == ["add"]  # refused ones leave none


def test_who_was_killed_holds_nothing_and_what_it_left_is_removed(run, fresh):
  before = _everything(run)
  with paused("realm_tf.corpus.changes:write_shards", "add", f"--workdir={run}",
              f"--documents={fresh}/more.jsonl") as first:
    first.kill()
    first.wait()
  assert sorted(_hidden(run))[0].startswith(".corpus.")
  assert realm("delete", f"--workdir={run}", "odd") == 0
  assert not _hidden(run)
  assert _everything(run).keys() == before.keys()


def test_sigterm_leaves_the_run_as_it_was(run, fresh):
  before = _everything(run)
  with paused("realm_tf.corpus.changes:write_shards", "add", f"--workdir={run}",
              f"--documents={fresh}/more.jsonl") as process:
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate()
  assert process.returncode == 143
  assert log.endswith("realm: stopped; run the same command to go on\n"), log
  assert _everything(run) == before


def test_a_corpus_behind_a_link_is_changed_where_it_lies(run, fresh, tmp_path):
  (tmp_path / "disk").mkdir()
  (run / "corpus").rename(tmp_path / "disk" / "store")
  (run / "corpus").symlink_to("../disk/store")
  assert realm("add", f"--workdir={run}", f"--documents={fresh}/more.jsonl") == 0
  assert realm("delete", f"--workdir={run}", "odd") == 0
  assert realm("compact", f"--workdir={run}") == 0
  assert (run / "corpus").is_symlink() and {
      path.name for path in (tmp_path / "disk").iterdir()} == {"store", "store.derived"}
  ids = Corpus.open(tmp_path / "disk" / "store").document_ids
  assert "ona" in ids and "odd" not in ids


def test_the_list_counts_blocks_that_are_searched(run, fresh, capsys):
  def listed():
    capsys.readouterr()
    assert realm("list", f"--workdir={run}") == 0
    return [line for line in capsys.readouterr().out.splitlines()
            if line.startswith("index")]

  (line,) = listed()
  assert line.endswith("blocks, float32")
  count = int(line.split()[-3])
  assert realm("delete", f"--workdir={run}", "odd") == 0
  assert listed() == [line.replace(f"{count} blocks", f"{count - 1} blocks")
                      + ", 1 deleted"]
  assert realm("add", f"--workdir={run}", f"--documents={fresh}/more.jsonl") == 0
  assert f"{count - 1} blocks, float32, 1 deleted, 1 not yet embedded" in (
      listed()[0])


def test_the_list_calls_no_index_late_that_was_replaced(run, fresh, capsys):
  """As where a stage trained the document tower, and documents were added since."""
  trained = Run.existing(run)
  model = trained.model("warm start")
  weight = model.retriever.document_tower.trainable_variables[0]
  weight.assign(weight * 1.5)
  trained.stored_index(model)
  assert realm("add", f"--workdir={run}", f"--documents={fresh}/more.jsonl") == 0
  opened = Run.existing(run)
  blocks = opened.corpus.num_blocks

  def listed():
    capsys.readouterr()
    assert realm("list", f"--workdir={run}") == 0
    return [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()
            if line.startswith("index")]

  assert listed() == [f"{blocks - 1} blocks, float32, 1 not yet embedded"] * 2
  opened.stored_index(opened.model("warm start"))
  assert sorted(listed()) == [
      f"{blocks - 1} blocks, float32, of another model, without 1 newer",
      f"{blocks} blocks, float32"]


def test_the_list_says_how_far_a_stage_is_and_who_is_at_work(run, capsys):
  def listed():
    assert realm("list", f"--workdir={run}") == 0
    lines = capsys.readouterr().out.splitlines()
    return {line[:10].strip(): line[12:] for line in lines}

  capsys.readouterr()
  assert listed()["ict"] == "to do" and "at work" not in listed()
  with Run.existing(run).at_work("ict"):  # before its first step
    assert listed()["ict"] == "running: 0 of 100000 steps"
    assert listed()["pretrain"] == "to do"
    assert listed()["at work"] == f"`realm ict` (process {os.getpid()})"
  checkpoints = run / "ict" / "checkpoints"
  checkpoints.mkdir(parents=True)
  assert listed()["ict"] == "half done: 0 of 100000 steps"
  for step in (9, 27):
    (checkpoints / f"ckpt-{step}.index").touch()
  assert listed()["ict"] == "half done: 27 of 100000 steps"
  with Run.existing(run).at_work("run"):
    assert listed()["ict"] == "running: 27 of 100000 steps"
    (run / "ict" / "curves.csv").write_text("step,loss\n20,1\n40,1\n")
    assert listed()["ict"] == "running: 40 of 100000 steps"
  with Run.existing(run).at_work("add"):
    assert listed()["ict"] == "half done: 27 of 100000 steps"
  (run / ".lock").write_text("999999999 elsewhere-that-is-not-here `realm run`\n")
  assert listed()["at work"].endswith(" on elsewhere-that-is-not-here)")


def test_a_file_in_the_way_of_a_stage_is_told_before_it_trains(run, capsys):
  (run / "ict" / "model").mkdir(parents=True)
  (run / "ict" / "model" / "notes").touch()
  assert realm("ict", f"--workdir={run}") == 2
  assert "'notes' in it, which is no part of a model" in capsys.readouterr().err
  assert not (run / "ict" / "checkpoints").exists()


@pytest.mark.parametrize("words, output, code, message", [
    (["--help"], "/dev/full", 2, "realm: standard output: No space left on device\n"),
    (["--help"], "closed", 141, ""), (["ict", "--help"], "closed", 141, "")])
def test_output_that_nobody_can_take_ends_in_a_line_at_most(words, output, code, message):
  reading, writing = os.pipe()
  os.close(reading)  # nobody reads on, as behind `| head`
  with open(writing if output == "closed" else output, "wb") as target:
    completed = subprocess.run([sys.executable, "-m", "realm_tf.cli.main", *words],
                               stdout=target, stderr=subprocess.PIPE, text=True, check=False,
                               env={**os.environ, "PYTHONUNBUFFERED": ""})
  assert (completed.returncode, completed.stderr) == (code, message)


# `corpus` keeps what it has cut, to go on: tests/corpus/test_making.py.
_COMMANDS = {
    "add": ("realm_tf.corpus.changes:write_shards", ["--documents={fresh}/more.jsonl"]),
    "compact": ("realm_tf.corpus.changes:write_shards", []),
    "export": ("tensorflow:saved_model.save", []),
    "export-weights": ("realm_tf.exchange.importing:save_file",
                       ["--kind=encoder", "--output={run}/exported"]),
    "index": ("realm_tf.index.embed:CorpusEmbedder.batches", []),
    "evaluate": ("realm_tf.jsonl:json.dumps", []),
    "ict": ("realm_tf.run.folder:initial_model", []),
}


@pytest.mark.parametrize("command", _COMMANDS)
def test_where_commands_are_stopped_is_there(command):
  """The next test is seldom run."""
  module, _, names = _COMMANDS[command][0].partition(":")
  assert callable(operator.attrgetter(names)(importlib.import_module(module)))


@pytest.mark.stress
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_that_is_stopped_removes_what_is_half_written(
    run, fresh, command, number):
  call, flags = _COMMANDS[command]
  if command == "index":
    shutil.rmtree(run / "index")
  before = _everything(run)
  with paused(call, command, f"--workdir={run}",
              *(flag.format(fresh=fresh, run=run) for flag in flags)) as process:
    process.send_signal(number)
    _, log = process.communicate()
  assert process.returncode == 128 + number, log
  assert "Traceback" not in log and log.endswith("run the same command to go on\n"), log
  assert not _hidden(run)
  now = _everything(run)
  assert {name: now[name] for name in before} == before
  assert not any(name.split("/")[0] in ("corpus", "export", "exported") for name in
                 now.keys() - before.keys()), now.keys() - before.keys()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_training_that_is_stopped_says_by_its_exit_code_that_it_is_not_done(
    run, number, capsys):
  with paused("realm_tf.training.loop:Loop._check", "ict", f"--workdir={run}") as process:
    assert realm("ict", f"--workdir={run}") == 2
    assert f"`realm ict` (process {process.pid})" in capsys.readouterr().err
    process.send_signal(number)
    _, log = process.communicate("\n")
  assert process.returncode == 128 + number, log
  assert "its state is saved: run the same command to go on" in log.splitlines()[-1]
  assert (run / "ict" / "checkpoints" / "ckpt-1.index").exists()
