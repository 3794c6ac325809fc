"""All stages on a tiny corpus through the command line, and the bad input it meets."""

import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from realm_tf import config as config_lib
from realm_tf.errors import UserError
from realm_tf.report.answers import NOT_CALIBRATED
from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.training.log import read_curves, read_examples
from tests import tiny
from tests.command import finished

_ROOT = pathlib.Path(__file__).parents[2]


def _process(*arguments):
  """Runs the command line as a user would; returns the finished process."""
  return subprocess.run(
      [sys.executable, "-m", "realm_tf.cli.main", *map(str, arguments)], cwd=_ROOT,
      env={**os.environ, "PYTHONPATH": str(_ROOT)}, capture_output=True, text=True,
      check=False)


def _lines(path, records):
  path.write_text("".join(json.dumps(record) + "\n" for record in records))
  return path


def _questions(path, places):
  return _lines(path, [{"question": f"what is the capital of {country}?", "answer": city}
                       for city, country in list(tiny.CITIES.items())[places]])


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
  """A folder with documents, questions, weights and a config file."""
  folder = tmp_path_factory.mktemp("world")
  _lines(folder / "documents.jsonl", [vars(d) for d in tiny.documents()])
  _questions(folder / "train.jsonl", slice(0, 8))
  _questions(folder / "held_out.jsonl", slice(8, None))
  config = tiny.make_config(
      folder, corpus__source=str(folder / "documents.jsonl"),
      finetune__questions=str(folder / "train.jsonl"),
      evaluate__questions=str(folder / "held_out.jsonl"),
      retriever__lexical_size=32, reading__steps=6, diagnosis__every=6,
      diagnosis__sentences=4,
      demo_questions=("what is the capital of france?",))
  (folder / "config.json").write_text(json.dumps(config_lib.to_dict(config)))
  (folder / "config.py").write_text(textwrap.dedent(f"""
      import json
      from realm_tf import config
      def get_config():
        with open("{folder}/config.json") as file:
          return config.as_config_dict(config.from_dict(json.load(file)))
      """))
  return folder


@pytest.fixture(name="run", scope="module")
def _run(world):
  """The whole run, done once for all tests of this file."""
  completed = _process("run", f"--config={world}/config.py", f"--workdir={world}/run")
  assert completed.returncode == 0, completed.stderr
  assert re.search(r"^\d\d:\d\d:\d\d index of step \d+ in use", completed.stderr, re.M)
  assert "functional_saver" not in completed.stderr  # not TensorFlow's
  return world / "run", completed.stdout


def test_run_makes_every_result(run):
  folder, output = run
  for part in ("corpus/manifest.json", "ict/done.json", "pretrain/done.json",
               "finetune/done.json", "export/1/saved_model.pb", "table.txt",
               "evaluation/finetune.predictions.jsonl", "pretrain/curves.csv",
               "report.html"):
    assert (folder / part).exists(), part
  assert list((folder / "pretrain" / "tensorboard").iterdir())
  table = (folder / "table.txt").read_text()
  for row in ("BM25", "warm start", "ict", "pretrain", "finetune"):
    assert row in table and row in output
  assert "Q: what is the capital of france?" in output


def test_pretraining_refreshed_its_index(run):
  facts = json.loads((run[0] / "pretrain" / "done.json").read_text())
  assert facts["refreshes"] >= 1


def test_the_curves_say_how_good_the_gradient_is(run):
  curves = read_curves(run[0] / "pretrain" / "curves.csv")
  names = [f"{name}@{by}" for name in ("softmax_mass", "posterior_mass", "gradient_cosine")
           for by in ("index", "fresh")]
  measured = [step for step, means in curves if set(names) <= means.keys()]
  assert measured == [1, 7, 12]  # before steps 0 and 6, and before the last
  for step, means in curves:
    assert ("softmax_mass@index" in means) == (step in measured)
    parts = [means[f"encoder_gradient_norm@{part}"] for part in ("bert", "masked_lm")]
    assert means["encoder_gradient_norm"] == pytest.approx(np.hypot(*parts), rel=1e-4)


def test_examples_are_there_before_and_after_pretraining(run):
  examples = read_examples(run[0] / "pretrain" / "examples.jsonl")
  steps = [row["step"] for row in examples]
  assert steps[0] == 0 and steps[-1] == 12 and steps == sorted(set(steps))
  first, last = examples[0]["sentences"], examples[-1]["sentences"]
  assert [row["sentence"] for row in first] == [row["sentence"] for row in last]
  for row in (*first, *last):
    for name in ("prior", "posterior"):
      assert sum(c[name] for c in row["candidates"]) == pytest.approx(1, abs=1e-3)


def test_the_report_shows_the_run(run):
  text = (run[0] / "report.html").read_text()
  for part in ("BM25", "step 0", "step 12", "Staleness in steps", "null document",
               "what is the capital of france?", "realm run --config="):
    assert part in text, part
  assert run[1].splitlines()[-4:] == [
      f"report: {run[0]}/report.html", f"export: {run[0]}/export/1",
      f"curves: tensorboard --logdir={run[0]}", f'ask: realm ask --workdir={run[0]} "..."']
  assert re.search(r"^this command took [\d.]+ minutes; training took [\d.]+ in all, earlier "
                   "commands counted$", run[1], re.M)


def test_diagnosis_of_a_finished_run(run, tmp_path):
  completed = finished("diagnose", f"--workdir={run[0]}", "--blocks=0",
                       f"--json={tmp_path}/a.json")
  assert completed.returncode == 0, completed.stderr
  diagnosis = json.loads((tmp_path / "a.json").read_text())
  assert diagnosis == json.loads((run[0] / "diagnosis" / "pretrain.json").read_text())
  page = (run[0] / "diagnosis" / "pretrain.html").read_text()
  assert page.count("<svg") == 3 and "after ict" in page
  assert diagnosis["stage"] == "pretrain" and diagnosis["summed_mass"] == pytest.approx(1)
  assert {row["candidates"] for row in diagnosis["rows"]} == {"fresh", "after ict"}
  assert "entropy of p(z|x)" in completed.stdout and "after ict" in completed.stdout
  reported = finished("report", f"--workdir={run[0]}", f"--output={tmp_path}/page.html")
  assert reported.stdout.strip() == f"{tmp_path}/page.html"
  assert "cosine with the full gradient" in (tmp_path / "page.html").read_text()
  refused = finished("diagnose", f"--workdir={run[0]}", "--stage=finetune")
  assert refused.returncode == 2 and "diagnose ict, pretrain or dpr" in refused.stderr


def test_a_report_of_a_run_that_has_hardly_begun(world, tmp_path):
  flags = [f"--config={world}/config.py", f"--workdir={tmp_path}/run"]
  assert finished("corpus", *flags).returncode == 0
  completed = finished("report", f"--workdir={tmp_path}/run")
  assert completed.returncode == 0, completed.stderr
  text = (tmp_path / "run" / "report.html").read_text()
  assert "stages done" in text and "Curves" not in text


def test_second_run_makes_nothing_again(run, world):
  folder, _ = run
  before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
  again = finished("run", f"--config={world}/config.py", f"--workdir={folder}")
  assert again.returncode == 0, again.stderr
  assert "ict:" not in again.stderr
  assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_predictions_have_answers_that_stand_at_their_offsets(run):
  records = [json.loads(line) for line in
             (run[0] / "evaluation" / "finetune.predictions.jsonl").open()]
  assert len(records) == len(tiny.CITIES) - 8
  for record in records:
    assert record["passage"][record["start"]:record["end"]] == record["prediction"] != ""
    scores = [passage["score"] for passage in record["passages"]]
    assert scores == sorted(scores, reverse=True)
    assert record["passage_id"] in {passage["id"] for passage in record["passages"][:2]}


def test_recall_in_the_report_is_recall_over_the_predictions(run):
  metrics = json.loads((run[0] / "evaluation" / "finetune.json").read_text())
  records = [json.loads(line) for line in
             (run[0] / "evaluation" / "finetune.predictions.jsonl").open()]
  hits = [any(record["answers"][0] in passage["text"]
              for passage in record["passages"][:5]) for record in records]
  assert metrics["recall@5"] == pytest.approx(np.mean(hits))


_FLAVOURS = ("portable", "native", "scann")
_READ_BY_TENSORFLOW = """
    import json, sys
    import tensorflow as tf, tensorflow_text
    op, folder, *questions = sys.argv[1:]

    def ask(flavour):
      model = tf.saved_model.load(f"{folder}/{flavour}/1")
      answers = model.signatures["serving_default"](questions=tf.constant(questions))
      return {name: value.numpy().astype(str).tolist() for name, value in answers.items()}

    asked = [ask("portable")]  # before any other op is known
    tf.load_op_library(op)
    asked.append(ask("native"))
    from scann.scann_ops.py import scann_ops
    asked.append(ask("scann"))
    assert "realm_tf" not in sys.modules
    print(json.dumps(asked))
    """


def test_exports_answer_as_the_live_model_does_in_a_fresh_process(run, tmp_path):
  folder, _ = run
  for flavour in _FLAVOURS:
    exported = finished("export", f"--workdir={folder}", f"--flavour={flavour}",
                        f"--output={tmp_path}/{flavour}")
    assert exported.returncode == 0, exported.stderr
  questions = ["what is the capital of spain?", "which city lies by the river in Norway"]
  fresh = subprocess.run(
      [sys.executable, "-c", textwrap.dedent(_READ_BY_TENSORFLOW),
       f"{_ROOT}/realm_tf/_realm_ops.so", str(tmp_path), *questions],
      cwd=tmp_path, capture_output=True, text=True, check=False)
  assert fresh.returncode == 0, fresh.stderr
  live_answers = Run.existing(folder).answerer("finetune").answer(tf.constant(questions))
  for flavour, answers in zip(_FLAVOURS, json.loads(fresh.stdout.splitlines()[-1]),
                              strict=True):
    for name, value in live_answers._asdict().items():
      if value.dtype == tf.float32:
        np.testing.assert_allclose(np.array(answers[name], float), value, rtol=1e-4)
      else:
        assert answers[name] == value.numpy().astype(str).tolist(), (flavour, name)


def test_ask_and_predict(run, tmp_path):
  folder, _ = run
  ask_process = finished("ask", f"--workdir={folder}", "--json",
                         "what is the capital of italy?")
  assert ask_process.returncode == 0, ask_process.stderr
  record = json.loads(ask_process.stdout.splitlines()[-1])
  questions = _lines(tmp_path / "q.jsonl", [{"question": record["question"]}])
  predict_process = finished("predict", f"--workdir={folder}", f"--questions={questions}",
                             f"--output={tmp_path}/a.jsonl")
  assert predict_process.returncode == 0, predict_process.stderr
  assert json.loads((tmp_path / "a.jsonl").read_text())["prediction"] == record["answer"]
  for process in (ask_process, predict_process):  # the run has no dev questions
    assert process.stderr.count(NOT_CALIBRATED) == 1


def test_predict_reads_what_evaluate_reads_and_says_the_ids(run, world, tmp_path):
  folder, _ = run
  lines = (world / "held_out.jsonl").read_bytes().splitlines(keepends=True)
  lines[0] = lines[0].replace(b'{"question"', b'{"id": "first", "question"')
  (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(b"\n".join(
      [b"\xef\xbb\xbf", *lines, b'{"question": "what is the capital of france?"}'])))
  completed = finished("predict", f"--workdir={folder}", f"--questions={tmp_path}/q.jsonl.gz",
                       f"--output={tmp_path}/a.jsonl", "--passages=100")
  assert completed.returncode == 0, completed.stderr
  records = [json.loads(line) for line in (tmp_path / "a.jsonl").open()]
  evaluated = [json.loads(line) for line in
               (folder / "evaluation" / "finetune.predictions.jsonl").open()]
  assert [record["id"] for record in records] == ["first", "4", "6", "8", "10"]
  assert ([(record["question"], record["prediction"]) for record in records[:-1]]
          == [(record["question"], record["prediction"]) for record in evaluated])
  blocks = Run.existing(folder).corpus.num_blocks
  for record in records:
    assert len({passage["row"] for passage in record["passages"]}) == blocks < 100
  completed = finished("predict", f"--workdir={folder}", f"--questions={tmp_path}/q.jsonl.gz",
                       f"--output={tmp_path}/b.jsonl", "--passages=1")
  assert completed.returncode == 0, completed.stderr
  assert [json.loads(line) for line in (tmp_path / "b.jsonl").open()] == [
      {**record, "passages": record["passages"][:1]} for record in records]


# Bad input: exit code 2, one line that names the place, nothing lost.

_BAD = {
    "unknown field": (["--config.ict.stepz=3"], "stepz"),
    "wrong type": (["--config.ict.steps=many"], "steps"),
    "value out of range": (["--config.pretrain.loss=both"], "pretrain.loss"),
    "missing corpus": (["--config.corpus.source=/nowhere.jsonl"], "/nowhere.jsonl"),
    "unknown flag": (["--stepz=3"], "stepz"),
    "broken config file": (["--config=/nowhere/config.py"], "/nowhere/config.py"),
    "no such weights": (["--config.retriever.weights=/nowhere"], "/nowhere"),
}


@pytest.mark.parametrize("case", _BAD)
def test_bad_flags_are_one_line(world, tmp_path, case):
  flags, named = _BAD[case]
  completed = finished("corpus", f"--config={world}/config.py", f"--workdir={tmp_path}/run",
                       *flags)
  assert completed.returncode == 2, completed.stderr
  message = [line for line in completed.stderr.splitlines() if line.startswith("realm:")]
  assert len(message) == 1 and named in message[0], completed.stderr
  assert "Traceback" not in completed.stderr
  assert not (tmp_path / "run" / "corpus").exists()


_BAD_DOCUMENTS = {
    "empty corpus": (b"", "documents.jsonl"),
    "not UTF-8": (b'{"id": "1", "title": "a", "text": "\xff"}\n', "UTF-8"),
    "no text": (b'{"id": "1", "title": "a"}\n', "text"),
    "empty document": (b'{"id": "1", "title": "a", "text": " "}\n', "text"),
}


@pytest.mark.parametrize("case", _BAD_DOCUMENTS)
def test_bad_documents_are_one_line(world, tmp_path, case):
  data, named = _BAD_DOCUMENTS[case]
  (tmp_path / "documents.jsonl").write_bytes(data)
  completed = finished("corpus", f"--config={world}/config.py", f"--workdir={tmp_path}/run",
                       f"--config.corpus.source={tmp_path}/documents.jsonl")
  assert completed.returncode == 2 and "Traceback" not in completed.stderr, completed.stderr
  assert "documents.jsonl" in completed.stderr and named in completed.stderr
  assert not (tmp_path / "run" / "corpus").exists()


def test_a_blank_document_is_passed_over_or_refused(world, tmp_path):
  blank = {"id": "blank", "title": "Nothing", "text": "\u200b\u00a0"}
  source = _lines(tmp_path / "documents.jsonl", [vars(tiny.documents()[0]), blank])
  flags = [f"--config={world}/config.py", f"--workdir={tmp_path}/run",
           f"--config.corpus.source={source}"]
  for command in ("corpus", "run"):
    completed = finished(command, *flags, "--strict")
    assert completed.returncode == 2
    assert f"{source}:2: field 'text' is empty" in completed.stderr
    assert not (tmp_path / "run" / "corpus").exists()
  completed = finished("corpus", *flags)
  assert completed.returncode == 0, completed.stderr
  assert f"{source}: 1 of 2 documents passed over" in completed.stderr
  assert "'blank' (line 2)" in completed.stderr
  assert set(Run.existing(tmp_path / "run").corpus.document_ids) == {"odd"}


def test_another_config_in_the_same_folder_is_refused(run, world):
  completed = _process("ict", f"--config={world}/config.py", f"--workdir={run[0]}",
                       "--config.ict.steps=21")
  assert completed.returncode == 2
  assert "ict.steps (20 there, 21 now)" in completed.stderr


def test_questions_without_answers_are_refused(run, world, tmp_path):
  bad = _lines(tmp_path / "bad.jsonl", [{"question": "who?"}])
  completed = finished("run", f"--config={world}/config.py", f"--workdir={tmp_path}/run",
                       f"--config.finetune.questions={bad}")
  assert completed.returncode == 2
  assert "bad.jsonl" in completed.stderr and "answer" in completed.stderr


def test_a_vocabulary_that_does_not_fit_the_weights_is_refused(run, world, tmp_path):
  weights = tiny.write_bert(tmp_path / "bert")
  with open(weights / "vocab.txt", "a", encoding="utf-8") as file:
    file.write("onemore\n")
  flags = [f"--config={world}/config.py", f"--workdir={tmp_path}/run",
           f"--config.retriever.weights={weights}"]
  completed = finished("corpus", *flags)
  assert completed.returncode == 2 and "vocab.txt" in completed.stderr
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["run", "ask", "export", "pretrain"])
def test_help_shows_flags_and_an_example(command):
  completed = finished(command, "--help")
  assert completed.returncode == 0
  assert "--workdir" in completed.stdout and f"realm {command} --" in completed.stdout


@pytest.mark.parametrize("command, strategy, message", [
    ("run", "multi_worker", "run the stages one by one"),
    ("run", "tpu", "run the stages one by one, realm ict, realm pretrain"),
    ("pretrain", "tpu", "no TPU 'local' can be had here"),
    ("pretrain", "multi_worker", "TF_CONFIG: expected")])
def test_a_strategy_that_cannot_be_had_is_one_line(world, tmp_path, command, strategy,
                                                   message):
  completed = finished(command, f"--config={world}/config.py", f"--workdir={tmp_path}/run",
                       f"--strategy={strategy}")
  assert completed.returncode == 2 and "Traceback" not in completed.stderr, completed.stderr
  assert message in completed.stderr.splitlines()[-1]
  assert not (tmp_path / "run").exists()


def test_what_a_tpu_cannot_do_is_refused_before_anything_is_made(world, monkeypatch):
  run = Run(tiny.make_config(world, write=False, reading__steps=6), world / "tpu")
  monkeypatch.setattr(stages, "is_tpu", lambda strategy: strategy is run.strategy)
  with pytest.raises(UserError, match="--strategy=tpu: the warm-up of the encoder"):
    stages.pretrain(run)
  assert [path.name for path in run.path.iterdir()] == ["config.json"]
