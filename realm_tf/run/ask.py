"""Questions from people and files, to a run or to an export."""

import json
import sys
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import tensorflow as tf
from absl import logging

from realm_tf import files
from realm_tf.datasets.questions import check_questions, read_questions
from realm_tf.evaluation import evaluate as evaluation
from realm_tf.evaluation.calibration import Calibration, wanted_threshold
from realm_tf.jsonl import write_rows
from realm_tf.report.answers import NO_READER, NOT_CALIBRATED, as_searched, in_words
from realm_tf.run import search
from realm_tf.run.folder import Run
from realm_tf.run.retrieval import retrieve_passages
from realm_tf.run.trained_reader import has_reader
from realm_tf.serving import saved_model as serving
from realm_tf.serving.response import answer_records, passage_records, respond


class Wanted(NamedTuple):
  """Which answers are wanted: see `serving.loaded.ExportedModel.answer`."""
  top_n: int = 1
  threshold: float | None = None
  precision: float | None = None


ONE_ANSWER = Wanted()
# Prints what is found for questions; gives back the answers, none where passages alone are.
Tell = Callable[[Sequence[str]], list[dict[str, Any]]]


def predict_file(run: Run, source: files.PathLike, target: files.PathLike,
                 passages: int | None = None, wanted: Wanted = ONE_ANSWER) -> None:
  """Answers a JSONL file of questions, written whole or not at all.

  Args:
    run: whose newest model answers.
    source: read as `evaluate` reads it; answers need not be there.
    target: JSON lines: the questions' `id` and text, prediction, score, probability,
      answerable, answers, passages.
    passages: how many, best first, the lines list; as many as are read where None.
    wanted: below its threshold `prediction` is empty, and `answerable` false.

  Raises:
    UserError: the questions cannot be read.
  """
  questions = read_questions(source, answered=False)
  search.make_corpus_if_missing(run)
  stage = run.newest_stage()
  threshold = wanted_threshold(run.calibration(stage), *wanted[1:])
  if not has_reader(run):
    logging.warning("predict: %s; the passages in the file are of use, its answers are not",
                    NO_READER)
  elif not run.calibration(stage).fitted:
    logging.warning("predict: %s", NOT_CALIBRATED)
  answerer = run.answerer(stage)
  listed = min(passages or answerer.read_blocks, run.corpus.num_blocks)
  records = evaluation.predict_records(
      answerer, [question.question for question in questions],
      batch_size=run.config.evaluate.batch_size, passages=listed, top_n=wanted.top_n)
  write_rows(target, (
      {"id": question.id, **_given(record, threshold),
       "passages": record["passages"][:listed],
       "read_blocks": answerer.read_blocks, "blocks": answerer.num_blocks}
      for question, record in zip(questions, records, strict=True)))


def _given(record: dict[str, Any], threshold: float) -> dict[str, Any]:
  """With `answerable`; without an answer that is less probable than the threshold."""
  answerable = bool(record["answers"]) and record["probability"] >= threshold
  refused = {} if answerable else {"prediction": "", "end": record["start"]}
  return {**record, **refused, "answerable": answerable}


def by_run(run: Run, as_json: bool, wanted: Wanted = ONE_ANSWER) -> Tell:
  """Answers by the newest model of a run; passages alone where no reader is trained yet."""
  stage = run.newest_stage()
  threshold = wanted_threshold(run.calibration(stage), *wanted[1:])
  search.make_corpus_if_missing(run)
  answerer = run.answerer(stage)
  if not has_reader(run):
    return _passages(lambda questions: retrieve_passages(
        answerer, questions, answerer.read_blocks), as_json)

  _say_if_uncalibrated(run.calibration(stage))

  def answers(questions: Sequence[str]) -> list[dict[str, Any]]:
    check_questions(questions)
    answered = answerer.answer(tf.constant(list(questions)), wanted.top_n)
    return _show(questions, respond(answered, threshold), threshold, as_json)
  return answers


def by_export(folder: files.PathLike, as_json: bool, wanted: Wanted = ONE_ANSWER) -> Tell:
  """As `by_run`, by an exported SavedModel."""
  calibration = serving.load_calibration(folder)
  threshold = wanted_threshold(calibration, *wanted[1:])
  model = serving.load_saved_model(folder)  # held: its functions do not keep its variables
  if "answer" not in model.signatures:
    return _passages(lambda questions: [
        [as_searched(passage) for passage in passages] for passages in passage_records(
            model.signatures["serving_default"](questions=tf.constant(list(questions))))],
                     as_json)
  _say_if_uncalibrated(calibration)

  def answers(questions: Sequence[str]) -> list[dict[str, Any]]:
    check_questions(questions)
    return _show(questions, model.answer(
        tf.constant(list(questions)), top_n=tf.constant([wanted.top_n]),
        threshold=tf.constant([threshold], tf.float32)), threshold, as_json)
  return answers


def _say_if_uncalibrated(calibration: Calibration) -> None:
  if not calibration.fitted:
    print(f"realm: {NOT_CALIBRATED}", file=sys.stderr, flush=True)


def _passages(retrieve: Callable[[Sequence[str]], Sequence[Sequence[dict[str, Any]]]],
              as_json: bool) -> Tell:
  """Says that nothing can be read, and tells what would be."""
  print(f"realm: {NO_READER}; these are the passages that it would read", file=sys.stderr,
        flush=True)

  def tell(questions: Sequence[str]) -> list[dict[str, Any]]:
    check_questions(questions)
    search.show(questions, retrieve(questions), as_json, answer="", answerable=False,
                answers=[])
    return []
  return tell


def _show(questions: Sequence[str], columns: Mapping[str, tf.Tensor], threshold: float,
          as_json: bool) -> list[dict[str, Any]]:
  """Prints each answer and its passage with the answer marked in it."""
  records = [{"question": question, **record}
             for question, record in zip(questions, answer_records(columns), strict=True)]
  for record in records:
    print(json.dumps(record, ensure_ascii=False) if as_json else in_words(record, threshold))
  return records
