"""What a run says of its held-out questions: figures, baselines, warnings, mistakes."""

import json
import pathlib
import re
import shutil

import pytest

from realm_tf import config as config_lib
from realm_tf.errors import UserError
from realm_tf.evaluation import predictions
from realm_tf.jsonl import write_rows
from realm_tf.run import baselines, evaluations, left_out, stages, worth
from realm_tf.run.folder import WARM_START, Run
from realm_tf.run.make_report import make_report
from realm_tf.run.mistakes import find_mistakes
from tests import tiny
from tests.command import finished, realm
from tests.events import read_events

_CITIES = list(tiny.CITIES.items())


def _lines(path, records):
  path.write_text("".join(json.dumps(record) + "\n" for record in records))
  return path


def _questions():
  """One about each city; half of them name the document that they were written from."""
  return [{"id": f"q{i}", "question": f"what is the capital of {country}?", "answer": [city],
           "source": "odd" if i % 3 else "even"}
          | ({"gold_passage": f"country-{country}"} if i % 2 else {})
          for i, (city, country) in enumerate(_CITIES)]


def _make(folder, questions, **changes):
  source = _lines(folder / "documents.jsonl",
                  [vars(document) for document in tiny.documents()])
  held_out = _lines(folder / "held_out.jsonl", questions)
  run = Run(tiny.make_config(
      folder, corpus__source=str(source), evaluate__questions=str(held_out),
      evaluate__recall_at=(1, 5, 10), finetune__questions=str(held_out), **changes),
            folder / "run")
  stages.corpus(run)
  return run


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
  """A run after two steps of ICT, with all that is measured of it, as if it could read."""
  run = _make(tmp_path_factory.mktemp("run"), _questions(), ict__steps=2)
  baselines.bm25(run)
  stages.evaluate(run, WARM_START)
  stages.ict(run)
  done_file = run.path / "ict" / "done.json"
  done_file.write_text(json.dumps(json.loads(done_file.read_text()) | {"reads": True}))
  stages.evaluate(run, "ict")
  baselines.hybrid(run, "ict")
  return run


def _read(run, name):
  return (json.loads(evaluations.metrics_path(run.path, name).read_text()),
          predictions.read_predictions(evaluations.predictions_path(run.path, name)))


def test_tensorboard_has_what_was_held_out_before_and_after(run):
  scalars, settings = read_events(run.path / "ict" / "tensorboard")
  for name in ("recall@1", "recall@5", "exact_match", "f1"):
    points = {step: figures[name] for step, figures in (
        (0, _read(run, WARM_START)[0]), (2, _read(run, "ict")[0])) if name in figures}
    assert points and scalars[f"held_out/{name}"] == pytest.approx(points)
  assert not [name for name in scalars if name.endswith(("_low", "_high"))]
  assert settings["ict.steps"] == 2 and settings["retriever.pooling"] == "mean"
  assert sorted(scalars["learning_rate"]) == [1, 2]


def test_recall_by_gold_passage_is_that_of_the_documents_own_blocks(run):
  for name in ("BM25", WARM_START, "ict", "ict + BM25"):
    metrics, records = _read(run, name)
    ids = run.corpus.document_ids
    named = [(record, [ids[row] for row in record["rows"]]) for record in records
             if "gold_passage" in record]
    assert metrics["gold_questions"] == len(named) == 6 and metrics["questions"] == 12
    for k in (1, 5, 10):
      assert metrics[f"recall@{k}_by_gold"] == pytest.approx(sum(
          record["gold_passage"] in rows[:k] for record, rows in named) / 6)
      assert (metrics[f"recall@{k}_low"] <= metrics[f"recall@{k}"]
              <= metrics[f"recall@{k}_high"])
    assert all(len(record["rows"]) == 10 and len(record["passages"]) == 5
               for record in records)
    assert {source: figures["questions"]
            for source, figures in metrics["by_source"].items()} == {"even": 4, "odd": 8}


def test_a_ranking_alone_has_no_exact_match(run):
  """And neither has a model whose span head is not trained: it reads nothing."""
  for name in ("BM25", WARM_START, "ict + BM25"):
    metrics, records = _read(run, name)
    assert not {"exact_match", "f1"} & metrics.keys()
    assert not any("prediction" in record for record in records)
  assert {"exact_match_low", "f1_high", "reader_oracle_low"} <= _read(run, "ict")[0].keys()


def test_the_hybrid_is_in_a_row_of_its_own_and_the_dense_figures_stay(run):
  rows = {row.name: row for row in worth.stage_rows(run)}
  assert list(rows) == ["BM25", WARM_START, "ict", "ict + BM25"]
  assert rows["ict"].figures == _read(run, "ict")[0]
  dense, lexical, hybrid = (_read(run, name)[1] for name in ("ict", "BM25", "ict + BM25"))
  for dense_record, lexical_record, fused in zip(dense, lexical, hybrid):
    assert set(fused["rows"]) <= set(dense_record["rows"]) | set(lexical_record["rows"])
    if dense_record["rows"][0] == lexical_record["rows"][0]:
      assert fused["rows"][0] == dense_record["rows"][0]


def test_predict_and_score_give_the_figures_of_evaluate(run, tmp_path, capsys):
  questions = run.config.evaluate.questions
  for passages in (10, 100, 2):
    assert realm("predict", f"--workdir={run.path}", f"--questions={questions}",
                 f"--output={tmp_path}/p.jsonl", f"--passages={passages}") == 0
    capsys.readouterr()
    assert realm("score", f"--questions={questions}", f"--predictions={tmp_path}/p.jsonl",
                 "--recall_at=1,5,10", "--json") == 0
    scored = json.loads(capsys.readouterr().out)
    evaluated = _read(run, "ict")[0]
    same = {name: value for name, value in evaluated.items() if not name.startswith((
        "answers", "corpus", "questions_hash", "by_source", "masked", *(
            ["recall@5", "recall@10"] if passages == 2 else [])))}
    assert {name: scored.get(name) for name in same} == pytest.approx(same)
    assert ("recall@5" in scored) == (passages > 2)  # two passages say nothing of five
    assert scored["accuracy"] == scored["exact_match"]
    if passages > 2:
      assert scored["by_source"] == evaluated["by_source"]


def test_the_file_of_an_evaluation_has_its_figures_too(run, capsys):
  assert realm("score", f"--questions={run.config.evaluate.questions}", "--json",
               f"--predictions={evaluations.predictions_path(run.path, 'ict')}",
               "--recall_at=1,5,10") == 0
  scored, evaluated = json.loads(capsys.readouterr().out), _read(run, "ict")[0]
  assert scored["recall@10"] == evaluated["recall@10"]
  assert scored["reader_oracle"] == evaluated["reader_oracle"]


def _answered(run, name, right, ranks):
  """Rewrites an evaluation: which questions are right, and where the answers are found."""
  path = evaluations.predictions_path(run.path, name)
  records = predictions.read_predictions(path)
  for i, record in enumerate(records):
    if name != "BM25":
      record["prediction"] = record["answers"][0] if i in right else "nothing"
    record["ranks"] = dict.fromkeys(record["ranks"], ranks[i])
  write_rows(path, records)


def _copy(run, folder):
  shutil.copytree(run.path, folder / "run")
  return Run.existing(folder / "run")


def test_a_stage_that_lost_is_warned_of(run, tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(worth, "FEW", 12)
  run = _copy(run, tmp_path)
  _answered(run, "BM25", range(12), [0] * 12)
  _answered(run, WARM_START, range(12), [0] * 11 + [9])
  _answered(run, "ict", {0}, [9] + [0] * 10 + [9])
  worth.warn(run, "ict")
  warnings = [message for message in caplog.messages if "after ict " in message]
  assert [re.sub(r"by [\d.]+ points.*", "", line).strip() for line in warnings] == [
      *(f"after ict recall@{k} is 83.3 %, less than 91.7 % after warm start:"
        for k in (1, 5)),
      *(f"after ict {name} is 8.3 %, less than 100.0 % after warm start:"
        for name in ("exact match", "f1")),
      *(f"after ict recall@{k}{rule} is 83.3 %, less than 100.0 % of BM25:"
        for k in (1, 5) for rule in ("", " by gold"))]
  assert "by 8.3 points" in warnings[0] and warnings[0].endswith("does not exclude 0")
  assert warnings[2].endswith("which excludes 0")
  rows = {row.name: row.warnings for row in worth.stage_rows(run)}
  assert rows["ict"] == tuple(warnings) and not rows[WARM_START] and not rows["BM25"]
  assert warnings[2] in make_report(run).read_text()
  path = evaluations.metrics_path(run.path, WARM_START)
  path.write_text(json.dumps(json.loads(path.read_text()) | {"corpus": "another"}))
  assert all("BM25" in warning for warning in worth.warnings(run, "ict"))


def test_of_few_questions_only_what_is_no_chance_is_warned_of(run, tmp_path):
  run = _copy(run, tmp_path)
  _answered(run, "BM25", range(12), [0] * 12)
  _answered(run, WARM_START, range(12), [0] * 11 + [9])
  _answered(run, "ict", {0}, [9] + [0] * 10 + [9])
  warnings = list(worth.warnings(run, "ict"))
  assert [line.partition(" is ")[0] for line in warnings] == [
      "after ict exact match", "after ict f1"]
  assert all(line.endswith("which excludes 0") for line in warnings)
  few = worth.few_held_out(run)
  assert few == ("12 held-out questions tell little: these figures may be off by 28 points; "
                 f"write 20 or more into {run.config.evaluate.questions}")
  assert few in make_report(run).read_text()
  log = finished("evaluate", f"--workdir={run.path}", "--stage=ict").stderr
  assert log.count(few) == 1 and log.count("after ict") == 2
  run.config = config_lib.with_changes(run.config, {"evaluate.questions": ""})
  assert worth.few_held_out(run).endswith(
      f"with more in {run.config.finetune.questions} or a higher config.evaluate.share than "
      "0.2")


def test_as_many_questions_as_tell_something_get_no_note(run, tmp_path, monkeypatch):
  run = _copy(run, tmp_path)
  monkeypatch.setattr(worth, "FEW", 12)
  assert not worth.few_held_out(run)
  for path in (run.path / "evaluation").iterdir():
    path.unlink()
  assert not worth.few_held_out(run)  # nothing was measured


def test_what_is_lost_deep_in_the_list_is_warned_of(run, tmp_path, monkeypatch):
  """Readers read ten blocks and more: a stage that only loses there costs answers too."""
  monkeypatch.setattr(worth, "FEW", 12)
  path = _copy(run, tmp_path).path
  config = json.loads((path / "config.json").read_text())
  config["evaluate"]["recall_at"] = [1, 5, 20]
  (path / "config.json").write_text(json.dumps(config))
  run = Run.existing(path)
  for name, last in ((WARM_START, 19), ("BM25", 30), ("ict", 20)):
    _answered(run, name, range(12), [0] * 11 + [last])
  assert [line.partition(" is ")[0] for line in worth.warnings(run, "ict")] == [
      "after ict recall@20", "after ict recall@20 by gold"]


def test_what_to_do_is_told_where_no_dev_questions_chose_the_model(run, tmp_path, caplog):
  run = _copy(run, tmp_path)
  for path in (run.path / "evaluation").glob("ict.*"):
    shutil.copy(path, path.with_name(f"dpr{path.name.removeprefix('ict')}"))
  worth.warn(run, "ict")
  assert "leaves it out" not in caplog.text  # it is never judged
  for name in ("BM25", "ict"):
    _answered(run, name, range(12), [0] * 12)
  _answered(run, "dpr", {0}, [0] * 12)
  worth.warn(run, "dpr")
  assert (f"`realm run --workdir={run.path} --config.dpr.steps=0 --redo=dpr` leaves it out"
          in caplog.text)
  assert worth.unjudged(run).startswith("no dev questions (100 or more to train on give some")
  caplog.clear()
  _answered(run, "dpr", range(12), [0] * 12)
  worth.warn(run, "dpr")
  assert "leaves it out" not in caplog.text  # it lost nothing
  run.config = config_lib.with_changes(
      run.config, {"dev.questions": run.config.evaluate.questions})
  _answered(run, "dpr", {0}, [0] * 12)
  worth.warn(run, "dpr")
  assert "exact match" in caplog.text and "leaves it out" not in caplog.text
  assert not worth.unjudged(run)


def test_a_reader_that_answers_few_questions_is_told_of(run, tmp_path):
  run = _copy(run, tmp_path)
  (run.path / "finetune").mkdir()
  (run.path / "finetune" / "done.json").write_text('{"minutes": 1}')
  path = evaluations.metrics_path(run.path, "finetune")
  unknown = worth.poor_answers(run)
  assert unknown.startswith("no held-out question was answered after finetune")
  assert unknown in make_report(run).read_text()
  path.write_text(json.dumps({"exact_match": 0.2, "reader_oracle": 0.9}))
  poor = worth.poor_answers(run)
  assert poor.startswith(
      "after finetune 20.0 % of the answers are right, though a right one stands in what was "
      "read for 90.0 %: more questions")
  assert f'<li class="wrong">{poor}</li>' in make_report(run).read_text()
  path.write_text(json.dumps({"exact_match": 0.2, "reader_oracle": 0.5}))
  assert not worth.poor_answers(run)
  assert "What the answers are worth" not in make_report(run).read_text()


def test_a_retriever_does_not_learn_from_too_few_questions(run, tmp_path):
  run = _copy(run, tmp_path)
  for least, stages_to_come in ((13, "finetune ends"), (12, "dpr and finetune end")):
    run.config = config_lib.with_changes(
        run.config, {"dpr.steps": 2, "dpr.least_questions": least})
    assert f"best model, and {stages_to_come} with" in worth.unjudged(run)
    assert bool(left_out.why_left_out(run, "dpr")) == (least == 13)
  assert left_out.why_left_out(run, "finetune") is None


def test_an_evaluation_is_made_anew_when_the_questions_change(run, tmp_path):
  run = _copy(run, tmp_path)
  questions = pathlib.Path(run.config.evaluate.questions)
  before = questions.read_bytes()
  path = evaluations.metrics_path(run.path, WARM_START)
  written = path.stat().st_mtime_ns
  assert stages.evaluate(run, WARM_START)["questions"] == 12
  assert path.stat().st_mtime_ns == written
  try:
    _lines(questions, _questions()[:4])
    assert stages.evaluate(run, WARM_START)["questions"] == 4
    # Those of the stages are of other questions.
    assert all("BM25" in warning for warning in worth.warnings(run, "ict"))
  finally:
    questions.write_bytes(before)


def test_mistakes_are_a_page_beside_the_report(run, tmp_path):
  run = _copy(run, tmp_path)
  run.config = config_lib.with_changes(  # what was measured says itself what is right
      run.config, {"evaluate.questions": str(tmp_path / "gone.jsonl")})
  result = find_mistakes(run)
  wrong = [record for record in _read(run, "ict")[1]
           if record["prediction"].lower() != record["answers"][0].lower()]
  assert sorted(mistake["id"] for mistake in result.mistakes) == sorted(
      mistake["id"] for mistake in wrong)
  assert result.questions == 12
  for mistake in result.mistakes:
    assert mistake["passage"][mistake["start"]:mistake["end"]] == mistake["prediction"]
    if mistake["kind"] != "absent":
      assert mistake["expected"][0] in mistake["right"]["text"]
  text = make_report(run, tmp_path / "page.html").read_text()
  assert 'href="page.mistakes.html"' in text and (tmp_path / "page.mistakes.html").exists()
  assert "Reliability" in text
  lines = (tmp_path / "page.mistakes.jsonl").read_text().splitlines()
  assert len(lines) == len(result.mistakes)


_BAD = {
    "gold": ({"gold_passage": "nowhere"}, "held_out.jsonl:2: field 'gold_passage': 'nowhere' "
             "is no document of the corpus"),
    "answers": ({"answer": "xyzzy"}, "config.evaluate.questions: no usable question: no "
                "answer of 2 stands in the corpus")}


@pytest.mark.parametrize("case", _BAD)
def test_questions_of_another_corpus_are_an_error(tmp_path, case, capsys):
  change, message = _BAD[case]
  run = _make(tmp_path, [{"question": "who?", "answer": "plugh" if case == "answers"
                          else "Paris"}, {"question": "what?", "answer": "Rome", **change}])
  for work in (baselines.bm25, lambda run: stages.evaluate(run, WARM_START)):
    with pytest.raises(UserError, match=re.escape(message)):
      work(run)
  for command in ("evaluate", "finetune", "run"):
    capsys.readouterr()
    assert realm(command, f"--workdir={run.path}") == 2
    error = [line for line in capsys.readouterr().err.splitlines()
             if line.startswith("realm: ")]
    assert len(error) == 1 and message.partition(": ")[2] in error[0]
  assert not (run.path / "evaluation").exists() and not (run.path / "ict").exists()
