"""Dev questions of a run: which they are, and that fine-tuning ends with the best by them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.evaluation import evaluate
from realm_tf.files import read_json
from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.run.held_out_questions import distant_questions
from realm_tf.training.log import read_curves
from tests import tiny


def _write(path, questions):
  path.write_text("".join(json.dumps(question) + "\n" for question in questions))
  return str(path)


def _open(folder, **changes):
  documents = _write(folder / "documents.jsonl", map(vars, tiny.documents()))
  changes = {"evaluate__share": 0.0, **changes}
  return Run(tiny.make_config(folder, corpus__source=documents, **changes), folder / "run")


_CITIES = [{"id": city, "question": f"what is the capital of {country}?", "answer": city}
           for city, country in tiny.CITIES.items()]
_MANY = [{"id": i, "question": f"question {i}?", "answer": "a"} for i in range(300)]


def test_a_share_of_the_training_questions_is_not_trained_on(tmp_path):
  run = _open(tmp_path, finetune__questions=_write(tmp_path / "many.jsonl", _MANY))
  train, dev = run.questions("train"), run.questions("dev")
  assert len(train) + len(dev) == 300 and 15 < len(dev) < 50
  assert not {q.id for q in train} & {q.id for q in dev}
  assert run.questions("dev") == dev
  again = Run.existing(run.path)
  assert again.questions("dev") == dev and again.questions("train") == train


def test_of_the_few_questions_of_a_small_set_all_are_trained_on(tmp_path):
  run = _open(tmp_path, finetune__questions=_write(tmp_path / "few.jsonl", _CITIES))
  assert len(run.questions("train")) == 12 and run.questions("dev") == []


def test_a_file_of_dev_questions_is_not_trained_on_either(tmp_path):
  run = _open(tmp_path, finetune__questions=_write(tmp_path / "many.jsonl", _MANY),
              dev__questions=_write(tmp_path / "dev.jsonl", _MANY[7:9] + _CITIES))
  assert [q.question for q in run.questions("dev")] == [
      question["question"] for question in _MANY[7:9] + _CITIES]
  assert [int(q.id) for q in run.questions("train")] == [*range(7), *range(9, 300)]


def test_distant_questions_are_those_that_no_part_asks(tmp_path):
  new = [{"id": f"d{i}", "question": f"a new question {i}?", "answer": "a"} for i in range(3)]
  run = _open(tmp_path, finetune__questions=_write(tmp_path / "many.jsonl", _MANY),
              evaluate__questions=_write(tmp_path / "held_out.jsonl", _CITIES),
              finetune__distant_questions=_write(
                  tmp_path / "distant.jsonl", _MANY[:200] + new[:2] + _CITIES + new[2:]))
  assert [question.id for question in distant_questions(run)] == ["d0", "d1", "d2"]
  assert not {"d0", "d1", "d2"} & {
      question.id for part in ("train", "dev", "held_out")
      for question in run.questions(part)}
  assert distant_questions(_open(tmp_path)) == []


def test_fine_tuning_learns_from_distant_questions_too(tmp_path, caplog):
  caplog.set_level("INFO")
  run = _open(tmp_path, finetune__questions=_write(tmp_path / "few.jsonl", _CITIES[:7]),
              finetune__distant_questions=_write(tmp_path / "distant.jsonl", _CITIES[5:]),
              ict__steps=0, finetune__steps=1)
  stages.corpus(run)
  stages.finetune(run)
  assert "the reader can learn from 12 of 12 questions" in caplog.text
  assert run.path.joinpath("finetune", "done.json").exists()


def test_without_questions_it_says_which_to_name(tmp_path):
  with pytest.raises(UserError, match="config.finetune.questions: name a JSONL file"):
    _open(tmp_path).questions("dev")


@pytest.fixture(name="tuned", scope="module")
def _tuned(tmp_path_factory):
  """Fine-tuned on eight questions, judged by four others and four of the eight."""
  folder = tmp_path_factory.mktemp("dev")
  run = _open(folder, finetune__questions=_write(folder / "train.jsonl", _CITIES[:8]),
              dev__questions=_write(folder / "dev.jsonl", [
                  question | {"question": question["question"].replace("what", "which")}
                  for question in _CITIES[4:]]),
              dev__every=6, finetune__steps=40, finetune__learning_rate=3e-3,
              finetune__beam_size=25, evaluate__read_blocks=3)
  stages.corpus(run)
  stages.finetune(run)
  return run


def test_the_model_of_the_stage_is_the_best_of_its_curve(tuned):
  curve = dict(read_curves(tuned.path / "finetune" / "curves.csv"))
  curve = {step: values for step, values in curve.items() if "dev_score" in values}
  assert list(curve) == [0, 6, 12, 18, 24, 30, 36, 40]
  stage_record = read_json(tuned.path / "finetune" / "done.json")
  best = max(values["dev_score"] for values in curve.values())
  assert stage_record["steps"] == 40 and stage_record["dev_score"] == pytest.approx(best)
  assert stage_record["best_step"] == min(s for s in curve if curve[s]["dev_score"] == best)
  assert best > curve[0]["dev_score"]  # it has learnt something


def test_what_the_curve_says_is_what_the_saved_model_answers(tuned):
  stage_record = read_json(tuned.path / "finetune" / "done.json")
  curve = dict(read_curves(tuned.path / "finetune" / "curves.csv"))[stage_record["best_step"]]
  questions = tuned.questions("dev")
  answerer = Run.existing(tuned.path).answerer("finetune")
  records = list(evaluate.predict_records(answerer, [q.question for q in questions],
                                          batch_size=5, passages=25))
  right = [record["prediction"].lower() in [a.lower() for a in question.answers]
           for question, record in zip(questions, records)]
  assert curve["dev_exact_match"] == pytest.approx(np.mean(right))
  for k in (1, 5):
    hits = [any(question.answers[0] in passage["text"] for passage in record["passages"][:k])
            for question, record in zip(questions, records)]
    assert curve[f"dev_recall@{k}"] == pytest.approx(np.mean(hits))


def test_the_best_checkpoint_is_that_model_too(tuned):
  last = tuned.model("finetune")
  best = Run.existing(tuned.path)
  best.checkpoint = "best"
  for variable, expected in zip(best.model("finetune").trainable_variables,
                                last.trainable_variables, strict=True):
    tf.debugging.assert_equal(variable, expected)


def test_of_forty_questions_some_are_held_out_and_none_choose(tmp_path):
  run = _open(tmp_path, finetune__questions=_write(tmp_path / "some.jsonl", _MANY[:40]),
              evaluate__share=0.2)
  train, held_out = run.questions("train"), run.questions("held_out")
  assert 3 <= len(held_out) <= 14 and len(train) + len(held_out) == 40
  assert not {q.id for q in train} & {q.id for q in held_out}
  assert run.questions("dev") == []
