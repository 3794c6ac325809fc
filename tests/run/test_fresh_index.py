"""A document tower that fine-tuning trains: what it embedded, and what is made of it."""

import json

import numpy as np
import pytest

from realm_tf.evaluation import evaluate
from realm_tf.files import read_json
from realm_tf.index import stored_index
from realm_tf.index.embed import encoder_hash
from realm_tf.index.stored_index import StoredIndex
from realm_tf.run import stages
from realm_tf.run.export import export_run
from realm_tf.run.folder import WARM_START, Run
from realm_tf.run.verify import verify
from realm_tf.serving.loaded import load
from realm_tf.training.log import read_curves
from realm_tf.training.loop import Loop
from tests import tiny


def _write(path, records):
  path.write_text("".join(json.dumps(record) + "\n" for record in records))
  return str(path)


_QUESTIONS = [{"id": city, "question": f"what is the capital of {country}?", "answer": city}
              for city, country in tiny.CITIES.items()]


def _open(folder, **changes):
  return Run(tiny.make_config(
      folder, corpus__source=_write(folder / "documents.jsonl", map(vars, tiny.documents())),
      finetune__questions=_write(folder / "train.jsonl", _QUESTIONS[:8]),
      dev__questions=_write(folder / "dev.jsonl", [
          question | {"question": question["question"].replace("what", "which")}
          for question in _QUESTIONS[4:]]),
      evaluate__questions=_write(folder / "held_out.jsonl", _QUESTIONS[6:]), **{
          "dev__every": 10, "finetune__beam_size": 25, "evaluate__read_blocks": 3,
          **changes}),
      folder / "run")


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
  run = _open(tmp_path_factory.mktemp("fresh"), finetune__steps=40, finetune__fresh_blocks=4,
              finetune__document_rate=0.1, best_metric="dev_recall@1",
              finetune__learning_rate=3e-3)
  stages.corpus(run)
  stages.finetune(run)
  return run


def _towers(run):
  return {StoredIndex.open(path).origin.encoder_hash
          for path in stored_index.index_versions(run.index_root)}


def test_dev_questions_are_asked_of_the_corpus_as_it_is_embedded_then(run):
  record = read_json(run.path / "finetune" / "done.json")
  curve = dict(read_curves(run.path / "finetune" / "curves.csv"))
  assert [step for step in curve if "dev_score" in curve[step]] == [0, 10, 20, 30, 40]
  assert record["best_step"] > 0  # else the start is what is compared
  answerer = Run.existing(run.path).answerer("finetune")
  questions = run.questions("dev")
  records = list(evaluate.retrieve_records(answerer, [q.question for q in questions],
                                           batch_size=4, passages=25))
  for k in (1, 5):
    hits = [any(question.answers[0] in passage["text"] for passage in record["passages"][:k])
            for question, record in zip(questions, records)]
    assert curve[record["best_step"]][f"dev_recall@{k}"] == pytest.approx(np.mean(hits))
  recalls = {curve[step]["dev_recall@1"] for step in range(0, 41, 10)}
  assert len(recalls) > 1  # the tower was another one each time


def test_the_index_is_that_of_the_tower_that_was_trained(run):
  first, last = (encoder_hash(run.model(stage).retriever.document_tower)
                 for stage in (WARM_START, "finetune"))
  assert first != last
  index = run.index(run.model("finetune"))
  assert {first, last} <= _towers(run)
  embedded = run.model("finetune").retriever.embed_documents(
      (run.corpus.titles.tolist(), run.corpus.texts.tolist()))
  np.testing.assert_allclose(index.rows(), embedded, rtol=1e-3, atol=1e-3)


def test_it_is_evaluated_exported_and_verified(run):
  metrics = stages.evaluate(run, "finetune")
  assert 0 < metrics["recall@5"] <= 1 and "exact_match" in metrics
  export = load(export_run(run))
  questions = [question["question"] for question in _QUESTIONS]
  expected = run.search(questions, 3)
  for passages, found in zip(export.retrieve(questions, k=3), expected, strict=True):
    assert [p["passage"] for p in passages] == [p["text"] for p in found]
  assert any("embedded again" in line for line in verify(run, 8))


def test_what_was_stopped_ends_as_what_was_not(run, tmp_path, monkeypatch):
  """Killed behind step 10, of which the next checkpoint before is that of step 8."""
  changes = {"checkpoint_every": 4, "dev__every": 5, "finetune__steps": 14,
             "finetune__fresh_blocks": 4, "retriever__dropout": 0.2}
  models = {}
  for name in ("whole", "killed"):
    (tmp_path / name).mkdir()
    models[name] = _open(tmp_path / name, **changes)
    stages.corpus(models[name])
  stages.finetune(models["whole"])

  class Killed(Exception):
    pass

  check, steps = Loop._check, []  # pylint: disable=protected-access

  def killed(loop, metrics, step, *inputs):
    steps.append(step)
    if step == 10 and steps.count(10) == 1:
      raise Killed
    check(loop, metrics, step, *inputs)

  monkeypatch.setattr(Loop, "_check", killed)
  with pytest.raises(Killed):
    stages.finetune(models["killed"])
  stages.finetune(Run.existing(models["killed"].path))
  assert steps == [*range(11), *range(8, 14)]
  first, second = (Run.existing(run.path) for run in models.values())
  for name in ("best_step", "dev_score"):
    assert read_json(first.path / "finetune" / "done.json")[name] == pytest.approx(
        read_json(second.path / "finetune" / "done.json")[name])
  for one, other in zip(first.model("finetune").variables,
                        second.model("finetune").variables, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-5)
