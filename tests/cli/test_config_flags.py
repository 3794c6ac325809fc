"""--config and its fields on the command line; a bad one is one line and leaves nothing."""

import json
import subprocess
import sys

import pytest

from realm_tf import config as config_lib
from realm_tf.report import page
from realm_tf.run.folder import Run
from tests import tiny
from tests.command import realm


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A folder with documents, weights and a config file, of which a run can be made."""
  folder = tmp_path_factory.mktemp("world")
  (folder / "documents.jsonl").write_text("".join(
      json.dumps(vars(document)) + "\n" for document in tiny.documents()))
  config = tiny.make_config(folder, corpus__source=str(folder / "documents.jsonl"))
  (folder / "config.json").write_text(json.dumps(config_lib.to_dict(config)))
  return folder


@pytest.fixture(name="corpus")
def _corpus(world, tmp_path):
  """Runs `realm corpus` for a new folder, with more flags."""
  return lambda *flags: realm("corpus", f"--workdir={tmp_path}/run", *(
      flags if any(flag.startswith("--config=") for flag in flags)
      else (f"--config={world}/config.json", *flags)))


@pytest.mark.parametrize("flags, message", [
    (["--config.pretrain.stepz=1"], "--config.pretrain.stepz: no such field; the nearest is "
                                    "config.pretrain.steps"),
    (["--config.pretrain.refresh.mode=job"], "the nearest is config.refresh.mode"),
    (["--config.steps=1"], "the nearest is config.ict.steps"),
    (["--config.refresh_every=1"], "the nearest is config.refresh.every"),
    (["--config.ict={}"], "--config.ict: a group of fields, which are set one by one, as in"),
    (["--config.xyz=1"], "--config.xyz: no such field; RealmConfig has name, seed"),
    (["--config.ict.lock=1"], "--config.ict.lock: no such field"),
    (["--config.__class__=1"], "--config.__class__: no such field"),
    (["--config.a[0]=1"], "--config.a[0]: no such field"), (["--config.=1"], "no such field"),
    (["--workdri=x"], "--workdri: no such flag; the nearest is --workdir"),
    (["--confgi=x"], "--confgi: no such flag; the nearest is --config"),
    (["--" + "z" * 9999], "no such flag"),
    (["--config.fixed_lengths=" + "9" * 9999], "fixed_lengths=999"),
    (["--stepz=1"], "--stepz: no such flag"), (["--config"], "Missing value for flag"),
    (["--config="], "--config: name a file"), (["--config=/nowhere.py"], "/nowhere.py: no"),
    (["--config=/"], "/: Is a directory"), (["--config.ict.steps"], "Missing value for flag"),
    (["--config.ict.steps=many"], "--config.ict.steps: expected a whole number from 0 to "
                                  "1,000,000,000, got 'many'"),
    (["--config.ict.steps=1.0"], "whole number"), (["--config.ict.steps="], "whole number"),
    (["--config.ict.steps=" + "9" * 5000], "whole number"),
    (["--config.ict.learning_rate=nan"], "--config.ict.learning_rate: expected a number"),
    (["--config.ict.learning_rate=1e400"], "number from 1e-12 to 10, got inf"),
    (["--config.deterministic=maybe"], "--config.deterministic=maybe"),
    (["--noconfig.deterministic=1"], "does not take an argument"),
    (["--config.evaluate.recall_at=15"], "--config.evaluate.recall_at: expected 1 or more "
                                         "whole numbers"),
    (["--config.evaluate.recall_at=(1, 'a')"], "whole numbers"),
    (["--config.evaluate.recall_at=" + "(" * 500], "whole numbers"),
    (["--config.demo_questions=abc"], "--config.demo_questions: expected text in quotes and "
                                      "brackets, such as ('one', 'another'), got 'abc'"),
    (["--config.index.devices=(abc,)"], "in quotes and brackets"),
    (["--config.assets=('abc',)"], "--config.assets: expected one of minilm, bert-tiny"),
    (["--config.assets=('bert-tiny',)", "--config.encoder.weights="], "name a folder"),
    (["--config.refresh.mode=job", "--config.pretrain.refresh=sync"], "which is given too"),
    (["--config.refresh.every=9"], "config.refresh.max_staleness: expected at least"),
    (["--flagfile=/nowhere"], "/nowhere"), (["--flagfile=/"], "Is a directory"),
    (["--flagfile"], "--flagfile with no argument"),
    (["--config.retriever.query_length=129"], "config.retriever.query_length: expected at "
                                              "most 128, the positions of"),
    (["--config.corpus.max_block_tokens=129"], "config.corpus.max_block_tokens: expected at"),
    (["--config.pretrain.encoder_length=129"], "config.pretrain.encoder_length: expected at"),
    (["--config.finetune.reader_length=129"], "config.finetune.reader_length: expected at"),
    (["--config.encoder.num_layers=3"], "3 layers asked for"),
    (["--config.retriever.weights="], "config.retriever.weights: name a folder"),
    (["--config.encoder.weights="], "config.encoder.weights: name a folder"),
    (["--config.encoder.weights=/nowhere"], "/nowhere/config.json: no such file")])
def test_a_bad_flag_is_one_line_and_writes_nothing(corpus, tmp_path, capsys, flags, message):
  assert corpus(*flags) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("realm: ") and message in line and len(line) < 700
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command, flags, message", [
    ("init", ["--documents=a", "--documents=b"],
     "--documents is given twice: 'a' and 'b'; give it once, with the folder above both"),
    ("init", ["--documents", "a", "-documents", "b"], "twice: 'a' and 'b'"),
    ("init", ["-documents=a", "--documents=a", "--documents=c"], "twice: 'a' and 'c'"),
    ("search", ["--k=3", "-k", "4"], "--k is given twice: 3 and 4; give it once"),
    ("corpus", ["--strict", "--nostrict"], "--strict is given twice: True and False"),
    ("corpus", ["--config=demo", "--config=wiki"], "--config is given twice: 'demo' and"),
    ("run", ["--redo=ict", "--redo=dpr"], "give it once, with commas between")])
def test_a_second_value_is_refused(tmp_path, capsys, command, flags, message):
  words = [f"{tmp_path}/run"] if command == "init" else [f"--workdir={tmp_path}/run"]
  assert realm(command, *words, *flags) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("realm: --") and message in line
  assert not list(tmp_path.iterdir())


def test_one_value_may_be_given_twice_and_a_flag_file_be_overruled(corpus, tmp_path):
  (tmp_path / "flags").write_text("--workdir=/nowhere\n")
  workdir = f"--workdir={tmp_path}/run"
  assert corpus(f"--flagfile={tmp_path}/flags", workdir) == 0
  assert corpus(workdir, "--strict", "--strict=true") == 0


@pytest.mark.parametrize("command, flag", [("serve", "labels"), ("import", "source")])
def test_flags_of_many_values_may_be_given_again(tmp_path, capsys, command, flag):
  assert realm(command, f"--workdir={tmp_path}/none", f"--{flag}=a", f"--{flag}=b") == 2
  assert "twice" not in capsys.readouterr().err


def test_a_flag_file_is_read_and_may_be_wrong(corpus, tmp_path, capsys):
  flags = tmp_path / "flags"
  for text, message in ((b"--config.ict.stepz=1\n", "stepz: no such field"),
                        (b"--config.ict.steps=-1\n", "--config.ict.steps: expected"),
                        (b"\xff\n", "--flagfile: not UTF-8 (byte 0)")):
    flags.write_bytes(text)
    assert corpus(f"--flagfile={flags}") == 2
    assert message in capsys.readouterr().err
  assert list(tmp_path.iterdir()) == [flags]
  flags.write_text(f"# comment\n--config.ict.steps=7\n--flagfile={flags}\n")
  assert corpus(f"--flagfile={flags}") == 0
  assert Run.existing(tmp_path / "run").config.ict.steps == 7


def test_fields_of_each_kind_by_flags(corpus, tmp_path, world):
  assert corpus(
      "--config.ict.steps=7", "--config.ict.learning_rate", "1e-4", "--config.fixed_lengths",
      "--noconfig.retriever.shared_towers", "--config.deterministic=false",
      "--config.evaluate.recall_at=[1, 2]", "--config.pretrain.span_blocks=1,3",
      "--config.demo_questions=('who?', 'it, or not?')", "--config.assets=()",
      "--config.name=a=b", "--config.pretrain.refresh=sync", "--config.seed=1",
      "--config.seed=2") == 0
  config = Run.existing(tmp_path / "run").config
  expected = config_lib.to_dict(config_lib.read(world / "config.json"))
  for path, value in {
      "ict.steps": 7, "ict.learning_rate": 1e-4, "fixed_lengths": True,
      "retriever.shared_towers": False, "evaluate.recall_at": (1, 2),
      "pretrain.span_blocks": (1, 3), "demo_questions": ("who?", "it, or not?"),
      "name": "a=b", "refresh.mode": "sync", "seed": 2}.items():
    config_lib.set_field(expected, path, value)
  assert config_lib.to_dict(config) == expected


def test_the_config_of_a_run_is_that_of_another(corpus, tmp_path, capsys):
  assert corpus("--config.seed=3") == 0
  path = tmp_path / "run" / "config.json"
  assert realm("corpus", f"--config={path}", f"--workdir={tmp_path}/again") == 0
  assert (tmp_path / "again" / "config.json").read_bytes() == path.read_bytes()
  # And of itself, with or without it; but with no other field that the corpus is made of.
  assert realm("corpus", f"--config={path}", f"--workdir={tmp_path}/run") == 0
  assert realm("corpus", f"--workdir={tmp_path}/run", "--config.seed=3") == 0
  words = ("corpus", f"--workdir={tmp_path}/run", "--config.corpus.max_block_tokens=32")
  assert realm(*words) == 2
  assert ("made with another config: corpus.max_block_tokens (64 there, 32 now); "
          "--redo=corpus makes corpus again") in capsys.readouterr().err
  assert realm(*words, "--redo=corpus") == 0
  assert Run.existing(tmp_path / "run").corpus.max_tokens == 32
  assert realm("corpus", f"--workdir={tmp_path}/none", "--config.seed=4") == 2
  assert "none: no such folder; give --config" in capsys.readouterr().err


def test_a_run_of_before_opens(corpus, tmp_path):
  assert corpus("--config.refresh.mode=sync") == 0
  path = tmp_path / "run" / "config.json"
  tree = json.loads(path.read_text())
  new = tree.pop("refresh")
  tree["pretrain"] |= {old.split(".")[1]: new[name.split(".")[1]]
                       for old, name in config_lib.RENAMED.items()}
  path.write_text(json.dumps(tree))
  run = Run.existing(tmp_path / "run")
  assert run.config.refresh.mode == "sync" and run.corpus.num_blocks == 25
  assert corpus("--config.refresh.mode=sync") == 0  # the same config


@pytest.mark.parametrize("text, message", [
    ("[]", ": expected a JSON object of a config's fields, got []"), ("", ":1: not valid"),
    ('{"ict": {"learning_rate": NaN}}', ": config.ict.learning_rate: expected a number"),
    ('{"ict": {"stepz": 5}}', ": config.ict.stepz: no such field")])
def test_a_damaged_run_says_where(tmp_path, capsys, text, message):
  (tmp_path / "config.json").write_text(text)
  for command in ("corpus", "report"):
    assert realm(command, f"--workdir={tmp_path}") == 2
    assert f"realm: {tmp_path}/config.json{message}" in capsys.readouterr().err
  assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("words, code", [(["--help"], 0), (["--config.stepz=1"], 2)])
def test_help_and_what_no_flag_is_are_told_at_once(words, code):
  script = (f"import sys; from realm_tf.cli import main; code = main.run(['ict', *{words}])\n"
            "sys.exit(code if 'tensorflow' not in sys.modules else 'TensorFlow was loaded')")
  completed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                             check=False)
  assert completed.returncode == code, completed.stderr
  assert completed.stdout.count("--config.") <= 2  # as examples, and no list of a hundred


def test_a_page_shows_a_path_that_is_no_utf_8():
  assert page.escape(b"<\xff".decode("utf-8", "surrogateescape")) == "&lt;\\udcff"
