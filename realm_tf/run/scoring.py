"""The figures of a run's model on questions: its own held-out ones, or those of a file."""

import contextlib
from collections.abc import Sequence
from typing import Any

from absl import logging

from realm_tf import files
from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError
from realm_tf.evaluation import evaluate as evaluation
from realm_tf.evaluation import predictions
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.run import calibrate
from realm_tf.run.folder import Run
from realm_tf.run.held_out_questions import check_about
from realm_tf.run.trained_reader import has_reader

_TOP_N = 5  # answers that an evaluation keeps of each question


def scored_by_file(run: Run, stage: str, source: files.PathLike) -> dict[str, Any]:
  """The figures of a stage on a file's questions; nothing of the run changes.

  Args:
    run: whose model answers, as `evaluate` has it.
    stage: whose model.
    source: read as `config.evaluate.questions`.

  Raises:
    UserError: the questions cannot be read, or are about other documents.
  """
  questions = read_questions(source)
  check_about(questions, run.corpus, str(source))
  _warn_of_learnt(run, questions)
  reads = has_reader(run, stage)
  answerer = run.answerer(stage)
  metrics, records = scored(run, answerer, questions, reads)
  if reads:
    metrics |= calibrate.probability_figures(run, answerer, questions, records)
  return metrics


def lost_by_index(run: Run, stage: str, questions: list[Question],
                  metrics: dict[str, Any]) -> dict[str, float]:
  """What the approximation costs in answers: those of an exact search, less `metrics`."""
  exactly, _ = scored(run, run.answerer(stage, exact=True), questions,
                       has_reader(run, stage))
  return {f"{name}_lost_by_index": exactly[name] - metrics[name] for name in metrics
          if name == "exact_match"
          or name.startswith("recall@") and not name.endswith(("_low", "_high"))}


def _warn_of_learnt(run: Run, questions: Sequence[Question]) -> None:
  """Says how many of the questions the run has learnt from: they are no measure."""
  known: set[str] = set()
  for part in ("train", "dev"):
    with contextlib.suppress(UserError):  # there are none
      known |= {question.question for question in run.questions(part)}
  count = sum(question.question in known for question in questions)
  if count:
    logging.warning("%d of %d questions are among those to train on or to choose models by: "
                    "figures of these are too good", count, len(questions))


def scored(run: Run, answerer: QuestionAnswerer, questions: list[Question], reads: bool
            ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """The metrics of a model, and what became of each question: its answer where it reads."""
  config = run.config.evaluate
  texts = [q.question for q in questions]
  size, deepest = config.batch_size, max(config.recall_at)
  answers = (
      evaluation.predict_records(
          answerer, texts, batch_size=size, passages=deepest, top_n=_TOP_N) if reads else
      evaluation.retrieve_records(answerer, texts, batch_size=size, passages=deepest))
  records = [predictions.evaluated(question, record, read_blocks=answerer.read_blocks,
                                   blocks=answerer.num_blocks)
             for question, record in zip(questions, answers, strict=True)]
  return evaluation.score_records(questions, records, config.recall_at,
                                  answerer.read_blocks), records
