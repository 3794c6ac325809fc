"""The settings of a run change, and what was made of them is made again."""

import json
import os
import shutil

import pytest

from realm_tf import config as config_lib
from realm_tf import files
from realm_tf.config.owners import PARTS, STAGES
from realm_tf.errors import UserError
from realm_tf.run import redo, stages, used
from realm_tf.run.folder import Run
from tests import tiny
from tests.command import realm


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A folder with documents, questions and a config of a few steps."""
  folder = tmp_path_factory.mktemp("world")
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  for name, words in (("questions", " now"), ("asked", "")):
    (folder / f"{name}.jsonl").write_text("".join(
        json.dumps({"question": question.question + words,
                    "answer": list(question.answers)}) + "\n"
        for question in tiny.questions()))
  config = tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"), ict__steps=2, dpr__steps=0,
      pretrain__steps=0, finetune__steps=2, dev__share=0.0, evaluate__unanswerable=0,
      finetune__questions=str(folder / "questions.jsonl"),
      evaluate__questions=str(folder / "asked.jsonl"))
  (folder / "config.json").write_text(json.dumps(config_lib.to_dict(config)))
  return folder


@pytest.fixture(name="made_run", scope="module")
def _made(world):
  """A run with a corpus; stand-ins are in the place of all that takes its time to make."""
  run = Run(config_lib.read(world / "config.json"), world / "run")
  stages.corpus(run)
  for name in (
      "ict/model/weights", "finetune/model/weights", "finetune/checkpoints/ckpt-2.index",
      "index/a-b/rows", "evaluation/ict.json", "evaluation/ict.predictions.jsonl",
      "evaluation/finetune.json", "evaluation/finetune.predictions.jsonl",
      "evaluation/finetune+bm25.json", "evaluation/bm25.json", "evaluation/asked.jsonl",
      "diagnosis/ict.json", "diagnosis/finetune.json", "export/saved_model.pb",
      "report.html", "report.mistakes.html", "table.txt"):
    (run.path / name).parent.mkdir(parents=True, exist_ok=True)
    (run.path / name).write_text(name)
  files.write_json(run.path / "evaluation" / "calibration.json", {"model": "finetune"})
  for part in ("ict", "finetune", "evaluate", "export"):
    used.record_used(run.config, run.path, part)
    if part in STAGES:
      files.write_json(run.path / part / "done.json", {"minutes": 1.0, "steps": 2})
  return run.path


@pytest.fixture(name="trained", scope="module")
def _trained(world):
  """A run that was really made."""
  assert realm("run", f"--config={world}/config.json", f"--workdir={world}/trained") == 0
  return world / "trained"


@pytest.fixture(name="run")
def _run(made_run, tmp_path):
  return shutil.copytree(made_run, tmp_path / "run")


def _read(path):
  return json.loads(path.read_text())


def _files(folder):
  return {str(path.relative_to(folder)): path.read_bytes()
          for path in folder.rglob("*") if path.is_file()}


def test_what_nothing_is_made_of_changes_freely(run, made_run, capsys, caplog):
  assert realm("corpus", f"--workdir={run}", "--config.name=other",
               "--config.demo_questions=('who?',)", "--config.checkpoint_every=7",
               "--config.cloze.read_blocks=7") == 0
  config = Run.existing(run).config
  assert (config.name, config.checkpoint_every) == ("other", 7)
  assert "config.name: other from now on, was tiny" in caplog.text
  # The config of which it was made is another one now, which is a change too.
  assert realm("corpus", f"--workdir={run}", f"--config={made_run.parent}/config.json") == 0
  assert Run.existing(run).config.name == "tiny"


@pytest.mark.parametrize("change, again, named", [
    ("seed=5", "ict", "seed (0 there, 5 now)"),
    ("corpus.max_block_tokens=32", "corpus", "corpus.max_block_tokens (64 there, 32 now)"),
    ("corpus.tag_numbers=False", "corpus", "corpus.tag_numbers (True there, False now)"),
    ("retriever.pooling=cls", "ict,index", "retriever.pooling (mean there, cls now)"),
    ("evaluate.recall_at=(1,)", "evaluate", "evaluate.recall_at"),
    ("evaluate.questions=", "finetune", "asked.jsonl there, '' now)"),
    ("evaluate.read_blocks=1", "evaluate,export", "evaluate.read_blocks"),
    ("embedding_dtype=bfloat16", "index", "embedding_dtype"),
    ("dpr.steps=3", "finetune", "dpr.steps (0 there, 3 now)"),
    ("finetune.questions=nowhere", "finetune", "finetune.questions")])
def test_what_depends_on_a_setting_is_named(run, capsys, change, again, named):
  before = _files(run)
  assert realm("run", f"--workdir={run}", f"--config.{change}") == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert named in line and f"--redo={again} makes " in line
  assert _files(run) == before


def test_what_was_to_be_made_again_anyway_stays_in_the_advice(run, capsys):
  for part in ("evaluate", "export"):
    assert realm("run", f"--workdir={run}", "--config.evaluate.read_blocks=1",
                 f"--redo={part}") == 2
    assert "--redo=evaluate,export makes " in capsys.readouterr().err


@pytest.mark.parametrize("words, message", [
    (["run", "--redo=finetun"], "--redo: 'finetun': no such part; the nearest is finetune"),
    (["run", "--redo="], "--redo: '': no such part; one of corpus, ict"),
    (["run", "--redo=a,b"], "--redo: 'a': no such part"),
    (["finetune", "--redo=ict"], "--redo=ict: comes before what `realm finetune` makes"),
    (["finetune", "--redo=finetune,corpus"], "--redo=corpus: comes before"),
    (["ask", "--redo=finetune", "who?"], "--redo: no such flag"),
    (["cloze"], "config.cloze.steps: is 0, which leaves this stage out")])
def test_a_redo_that_cannot_be_meant(run, capsys, words, message):
  before = _files(run)
  assert realm(words[0], f"--workdir={run}", *words[1:]) == 2
  assert message in capsys.readouterr().err
  assert {name: data for name, data in _files(run).items() if "commands" not in name} == {
      name: data for name, data in before.items() if "commands" not in name}


def test_a_corpus_of_before_has_the_numbers_that_it_was_tagged_with(run, capsys):
  for path, fields in (("documents/settings.json", lambda tree: tree["used"]),
                       ("config.json", lambda tree: tree)):
    tree = _read(run / path)
    known = fields(tree)
    known.pop("corpus.tag_numbers", None) or known["corpus"].pop("tag_numbers")
    (run / path).write_text(json.dumps(tree))
  assert realm("corpus", f"--workdir={run}") == 0
  assert realm("corpus", f"--workdir={run}", "--config.corpus.tag_numbers=False") == 2
  assert "corpus.tag_numbers (True there, False now)" in capsys.readouterr().err
  assert realm("corpus", f"--workdir={run}", "--config.corpus.tag_numbers=False",
               "--redo=corpus") == 0
  assert _read(run / "documents" / "settings.json")["used"]["corpus.tag_numbers"] is False


def test_a_run_of_before_was_made_of_its_config(run, capsys):
  for path in run.rglob("settings.json"):
    path.unlink()
  assert realm("run", f"--workdir={run}", "--config.finetune.steps=9") == 2
  assert "finetune.steps (2 there, 9 now)" in capsys.readouterr().err
  # That stays so when another setting has changed.
  assert realm("corpus", f"--workdir={run}", "--config.name=other") == 0
  assert used.recorded(run, "finetune")["finetune.steps"] == 2


@pytest.fixture(name="own")
def _own(made_run, tmp_path):
  """A run with documents, questions and weights of its own, beside which it lies."""
  for name in ("documents.jsonl", "questions.jsonl", "asked.jsonl", "bert", "config.json"):
    source = made_run.parent / name
    copy = shutil.copytree if source.is_dir() else shutil.copy
    copy(source, tmp_path / name)
  config = (tmp_path / "config.json").read_text().replace(str(made_run.parent), str(tmp_path))
  (tmp_path / "config.json").write_text(config)
  run = shutil.copytree(made_run, tmp_path / "own")
  files.write_json(run / "config.json", config_lib.portable_paths(
      config_lib.read(tmp_path / "config.json"), run))
  for part in ("corpus", "ict", "finetune", "evaluate", "export"):
    used.record_used(Run.existing(run).config, run, part)
  return run


_FILES = {"corpus.source": "documents.jsonl", "finetune.questions": "questions.jsonl",
          "evaluate.questions": "asked.jsonl", "retriever.weights": "bert",
          "encoder.weights": "bert"}


@pytest.mark.parametrize("field", _FILES)
def test_what_only_moved_is_no_other(own, tmp_path, field, capsys):
  (tmp_path / "moved").mkdir()
  moved = (tmp_path / _FILES[field]).rename(tmp_path / "moved" / "elsewhere")
  fields = [name for name in _FILES if _FILES[name] == _FILES[field]]
  assert realm("config", "name", f"--workdir={own}",
               *(f"--config.{name}={moved}" for name in fields)) == 0, capsys.readouterr().err
  config = Run.existing(own).config
  assert config_lib.flatten(config_lib.to_dict(config))[field] == str(moved)
  before = used.recorded(own, "finetune")
  used.record_used(config, own, "finetune")  # as if it went on
  assert "changed_midway" not in _read(own / "finetune" / "settings.json")
  if _FILES[field] in ("bert", "questions.jsonl"):
    assert used.recorded(own, "finetune") != before


@pytest.mark.parametrize("field, words, again", [
    ("corpus.source", ["run"], "corpus"), ("corpus.source", ["corpus"], "corpus"),
    ("finetune.questions", ["run"], "finetune"),
    ("finetune.questions", ["finetune"], "finetune"),
    ("evaluate.questions", ["evaluate"], "evaluate"),
    ("retriever.weights", ["ict"], "ict")])
def test_a_file_of_other_contents_asks(own, tmp_path, capsys, field, words, again):
  path = tmp_path / _FILES[field]
  path = path / "vocab.txt" if path.is_dir() else path
  os.utime(path)  # nothing has changed by that
  Run(Run.existing(own).config, own, makes=PARTS)
  path.write_text(path.read_text() + "\n")
  assert realm(*words, f"--workdir={own}") == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert f"{field} ({tmp_path / _FILES[field]} holds other things than then)" in line
  assert f"--redo={again} makes " in line
  add = f"`realm add --workdir={own} --documents={path}` takes in what is new, without train"
  assert (add in line) is (field == "corpus.source")
  # What makes nothing of it goes on.
  assert realm("config", "name", f"--workdir={own}", "--config.name=other") == 0
  (tmp_path / _FILES[field]).rename(tmp_path / "away")  # nor is it needed any more
  Run(Run.existing(own).config, own, makes=PARTS)


def test_a_half_done_stage_goes_on_with_documents_of_before(own, tmp_path, capsys):
  """Each line names a command that works now, and what it names works afterwards."""
  path = tmp_path / "documents.jsonl"
  path.write_text(path.read_text() + '{"id": "new", "title": "New", "text": "It is new."}\n')
  (own / "finetune" / "done.json").unlink()
  assert realm("run", f"--workdir={own}") == 2
  (line,) = capsys.readouterr().err.splitlines()
  goes_on, add = f"`realm finetune --workdir={own}`", f"`realm add --workdir={own} --docum"
  assert f"{goes_on} goes on with the documents as they were read, and {add}" in line
  assert realm("add", f"--workdir={own}", f"--documents={path}") == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert f"{goes_on} ends it" in line
  Run(Run.existing(own).config, own, makes=["finetune"])  # as that command opens it


def test_documents_that_were_added_are_no_news_any_more(own, tmp_path, capsys):
  path = tmp_path / "documents.jsonl"
  path.write_text(path.read_text() + '{"id": "new", "title": "New", "text": "It is new."}\n')
  for stage in ("ict", "finetune"):
    shutil.rmtree(own / stage)  # a stand-in cannot embed
  assert realm("corpus", f"--workdir={own}") == 2
  capsys.readouterr()
  assert realm("add", f"--workdir={own}", f"--documents={path}") == 0
  assert "1 document added, 0 replaced, 25 unchanged" in capsys.readouterr().out
  assert realm("corpus", f"--workdir={own}") == 0


class _Killed(BaseException):
  pass


def _changed(run, **changes):
  tree = config_lib.to_dict(Run.existing(run).config)
  for field, value in changes.items():
    config_lib.set_field(tree, field.replace("__", "."), value)
  return config_lib.from_dict(tree)


@pytest.mark.parametrize("redone", [["finetune"], ["corpus"], ["evaluate"], ["index"]])
def test_killed_at_any_point_it_goes_on(made_run, run, tmp_path, monkeypatch, redone):
  """As kill -9 between any two changes of the folder: then a new process opens the run."""
  replace, rename = os.replace, os.rename
  shutil.rmtree(run)
  shutil.copytree(made_run, tmp_path / "whole")
  Run(_changed(tmp_path / "whole", name="new"), tmp_path / "whole", redone)
  expected = _files(tmp_path / "whole")
  for steps in range(100):
    shutil.copytree(made_run, run)
    config, steps_left = _changed(run, name="new"), steps

    def counted(act):
      def step(*arguments):
        nonlocal steps_left
        if steps_left == 0:
          raise _Killed
        steps_left -= 1
        act(*arguments)
      return step

    with monkeypatch.context() as patched:
      patched.setattr(os, "replace", counted(replace))
      patched.setattr(os, "rename", counted(rename))
      try:
        Run(config, run, redone)
        break
      except _Killed:
        pass
    (run / ".lock").unlink(missing_ok=True)
    begun = (run / "redo.json").exists()
    opened = Run.existing(run)
    assert opened.config.name == ("new" if begun else "tiny")
    Run(_changed(run, name="new"), run, redone)  # the same command again
    assert {name: data for name, data in _files(run).items()} == expected
    shutil.rmtree(run)
  assert steps > 3
  names = {name[:-2] for name in os.listdir(run) if name.endswith(".1")}
  assert names == {
      "finetune": {"finetune", "export", "evaluation", "diagnosis"},
      "corpus": {"corpus", "documents", "ict", "finetune", "export", "evaluation",
                 "diagnosis"},
      "evaluate": {"evaluation"}, "index": {"index", "export", "evaluation"}}[redone[0]]
  if redone == ["finetune"]:
    assert set(os.listdir(run / "evaluation")) == {
        "settings.json", "ict.json", "ict.predictions.jsonl", "bm25.json"}
    assert set(os.listdir(run / "diagnosis")) == {"ict.json"}


def test_the_same_redo_goes_on_until_all_is_made(run):
  config = Run.existing(run).config
  Run(config, run, ["finetune"])
  shutil.copytree(run / "finetune.1", run / "finetune")  # it is made again
  Run(config, run, ["finetune"])  # the process was killed, and begun again
  assert (run / "finetune").exists() and not (run / "finetune.2").exists()
  redo.finish(run, ["evaluate"])  # which is not what was asked for
  Run(config, run, ["finetune"])
  assert not (run / "finetune.2").exists()
  redo.finish(run, ["finetune"])
  Run(config, run, ["finetune"])
  assert (run / "finetune.2").exists() and not (run / "finetune").exists()


def test_a_half_done_stage_goes_on_with_other_steps_alone(run):
  (run / "finetune" / "done.json").unlink()
  Run(_changed(run, finetune__steps=9), run)
  assert used.recorded(run, "finetune")["finetune.steps"] == 2
  used.record_used(Run.existing(run).config, run, "finetune")
  assert _read(run / "finetune" / "settings.json")["changed_midway"] == {
      "finetune.steps": [2]}
  with pytest.raises(UserError, match="--redo=finetune makes finetune, evaluate, export"):
    Run(_changed(run, finetune__batch_size=3), run)
  Run(_changed(run, finetune__batch_size=3), run, ["finetune"])
  assert not (run / "finetune").exists() and (run / "finetune.1").exists()


def test_a_model_that_was_brought_is_not_made_again(run):
  for stage in STAGES:
    if stage != "ict":
      shutil.rmtree(run / stage, ignore_errors=True)
  done_file = run / "ict" / "done.json"
  done_file.write_text(json.dumps(_read(done_file) | {"from": "elsewhere", "stage": "ict"}))
  Run(_changed(run, ict__steps=0), run)
  for changes, redone in (({}, ["ict"]), ({"retriever__pooling": "cls"}, ["corpus"])):
    with pytest.raises(UserError, match="was brought here by `realm init`"):
      Run(_changed(run, **changes), run, redone)
  Run(_changed(run), run, ["corpus"])
  assert (run / "ict" / "done.json").exists() and not (run / "corpus").exists()


@pytest.mark.slow
def test_settings_of_a_question_are_not_kept(trained, capsys):
  run = trained
  assert realm("ask", f"--workdir={run}", "--config.evaluate.read_blocks=1",
               "what is the capital of france") == 0
  assert Run.existing(run).config.evaluate.read_blocks == 2
  assert realm("search", f"--workdir={run}", "--config.retriever.pooling=cls", "who") == 2
  assert "--redo=ict,index" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stage_is_made_again_with_another_setting(trained, capsys):
  run = trained
  before = {name: _files(run / name) for name in ("ict", "finetune", "export", "evaluation")}
  report = (run / "report.html").read_bytes()
  assert b"answered rightly</dt><dd>" in report and b"of 12 questions, " in report
  words = ("finetune", f"--workdir={run}", "--config.finetune.steps=3")
  assert realm(*words) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert ("finetune.steps (2 there, 3 now); --redo=finetune makes finetune, evaluate, export "
          "again, and keeps what is there as finetune.1") in line
  assert _files(run / "finetune") == before["finetune"]
  assert Run.existing(run).config.finetune.steps == 2

  assert realm(*words, "--redo=finetune") == 0
  assert Run.existing(run).config.finetune.steps == Run.existing(run).steps("finetune") == 3
  assert _read(run / "finetune" / "settings.json")["used"]["finetune.steps"] == 3
  assert {name: _files(run / f"{name}.1") for name in ("finetune", "export")} == {
      name: before[name] for name in ("finetune", "export")}
  old_files = _files(run / "evaluation.1")
  assert old_files.pop("report.html") == report and "table.txt" in old_files
  assert {name: old_files[name] for name in before["evaluation"]} == before["evaluation"]
  now = _files(run / "evaluation")
  assert now == {name: data for name, data in before["evaluation"].items()
                 if not name.startswith(("finetune", "asked"))} and "warm_start.json" in now
  assert _files(run / "ict") == before["ict"] and not (run / "export").exists()
  assert realm("run", f"--workdir={run}") == 0
  assert (run / "export" / "1" / "saved_model.pb").exists()
  assert (run / "evaluation" / "finetune.json").exists()
  capsys.readouterr()
  assert realm("list", f"--workdir={run}") == 0
  listing = capsys.readouterr().out
  assert "finetune.1  set aside by --redo: done: 2 steps" in listing
  assert "evaluation.1  set aside by --redo: bm25, finetune, finetune+bm25" in listing
  # And once more, from the same words.
  assert realm(*words, "--redo=finetune") == 0
  assert (run / "finetune.2" / "done.json").exists() and len(
      [old for old in redo.set_aside(run) if old.name == "finetune"]) == 2
