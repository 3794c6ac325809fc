"""The example in the help of each command works, where there is what it names."""

import json
import pathlib
import shlex
import shutil

import pytest

from realm_tf.cli import commands
from realm_tf.errors import UserError
from realm_tf.run import stages
from realm_tf.run.folder import Run
from tests import tiny
from tests.cached_encoder import put_encoder
from tests.command import realm

_REFERENCE = pathlib.Path(__file__).parents[1] / "reference"

# What takes long is tested elsewhere; here it is reached, after all that is checked before.
_LONG = {
    "run": "realm_tf.run.pipeline.whole_run", "export": "realm_tf.run.export.export_run",
    "serve": "realm_tf.server.process.serve",
    "mcp": "realm_tf.server.mcp_stdio.answer_stdio",
    "refresh": "realm_tf.run.refresh_job.refresh",
    "tagger": "realm_tf.training.tagger.train_tagger",
    "diagnose": "realm_tf.run.diagnose.diagnose",
    "parity": "realm_tf.evaluation.reference_parity.compare_with_reference",
    "export-weights": "realm_tf.run.export_weights.export_weights",
    **{stage: f"realm_tf.run.stages.{stage}"
       for stage in ("ict", "pretrain", "dpr", "cloze", "finetune")}}


def _lines(path, records):
  path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  """A folder with runs, and files under the names that examples have for them."""
  folder = tmp_path_factory.mktemp("examples")
  documents = [vars(document) for document in tiny.documents()]
  questions = [{"question": question.question, "answer": list(question.answers)}
               for question in tiny.questions()]
  _lines(folder / "documents.jsonl", documents)
  for name in ("eng.train", "eng.testa"):
    (folder / name).touch()
  (folder / "docs").mkdir()
  (folder / "docs" / "one.txt").write_text("Oslo is the capital of Norway.")
  _lines(folder / "new.jsonl", [{"id": name, "text": f"{name} is new."}
                                for name in ("id-17", "id-18")])
  for name in ("questions", "q", "CuratedTrec.resplit.test", "NQ-open.train", "asked"):
    _lines(folder / f"{name}.jsonl", questions)
  _lines(folder / "dev.jsonl", [
      question | {"question": f"{word} {question['question']}"} for word in ("so", "now")
      for question in questions])
  _lines(folder / "answers.jsonl", [
      {"question": question["question"], "prediction": question["answer"][0]}
      for question in questions])
  config = tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"), ict__steps=0,
      pretrain__steps=0, finetune__steps=2, dev__share=0.0, evaluate__unanswerable=0,
      finetune__questions=str(folder / "questions.jsonl"),
      evaluate__questions=str(folder / "asked.jsonl"))
  run = Run(config, folder / "runs" / "demo")
  stages.corpus(run)
  stages.finetune(run)
  stages.evaluate(run, "finetune")
  shutil.copytree(run.path, folder / "runs" / "other")
  return folder


def _reached(*arguments, **keywords):
  raise UserError("reached")


@pytest.mark.slow
def test_the_example_of_each_command_works(folder, monkeypatch, capsys):
  monkeypatch.chdir(folder)
  monkeypatch.setenv("XDG_CACHE_HOME", f"{folder}/cache")
  put_encoder(folder / "cache")
  (folder / "tests").mkdir()
  (folder / "tests" / "reference").symlink_to(_REFERENCE)
  (folder / "realm-cc-news-pretrained-embedder").symlink_to(_REFERENCE / "embedder")
  demo, copy = folder / "runs" / "demo", folder / "kept"
  for name in commands.NAMES:
    line = commands.load_command(name).EXAMPLE
    first, second, *words = shlex.split(line)
    assert (first, second) == ("realm", name), line
    if name in _LONG:
      shutil.copytree(demo, copy)
      with monkeypatch.context() as patched:
        patched.setattr(_LONG[name], _reached)
        patched.setattr("realm_tf.run.claim._check_weights", lambda config: None)
        if name == "run":  # of a new folder; the demo's weights are not fetched for this
          shutil.rmtree(demo)
        if name in ("serve", "mcp"):  # what they serve is looked for before it is opened
          (demo / "export" / "1").mkdir(parents=True)
          (demo / "export" / "1" / "saved_model.pb").touch()
        assert realm(name, *words) == 2
      assert capsys.readouterr().err.endswith("realm: reached\n"), line
      shutil.rmtree(demo)
      copy.rename(demo)
    else:
      assert realm(name, *words) == 0, (line, capsys.readouterr().err)
