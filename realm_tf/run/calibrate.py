"""Makes a run's answers say how sure they are: fitted on dev, reported on held-out ones."""

import dataclasses
import shlex
from typing import Any, Mapping, Sequence

from absl import logging

from realm_tf import files
from realm_tf.counted import counted
from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError
from realm_tf.evaluation import calibration, confidence, fitting, metrics, unanswerable
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import Calibration
from realm_tf.report.answers import NO_READER
from realm_tf.run.folder import Run
from realm_tf.run.question_splits import NoneNamed
from realm_tf.run.trained_reader import has_reader

_MOST = 2000  # dev questions: more would not move three numbers
_FEW = 30  # dev questions: by fewer, what is fitted is chance
_TOLD_APART = 0.6  # AUC, below which right answers hardly come before wrong ones
_PRECISION = 0.8  # at whose threshold the share of "no answer" is reported


def calibrate(run: Run, stage: str, source: files.PathLike | None = None) -> Calibration:
  """Fits the calibration of a stage's model, and keeps it in the run.

  Args:
    run: where it is kept; its export takes it from there.
    stage: whose model.
    source: of the questions; the run's own dev questions where None. Those that are among
      the held-out questions, whose figures are reported, are left out.

  Raises:
    UserError: there are too few questions, or the model has no trained reader.
  """
  questions = read_questions(source) if source else _dev_questions(run)
  held_out = _held_out(run)
  chosen = [question for question in questions if question.question not in held_out]
  if len(chosen) < fitting.LEAST:
    count = counted(len(chosen), "question" if source else "dev question")
    raise UserError(
        f"{source or run.path}: {count} to calibrate by"
        f"{_besides(len(questions) - len(chosen))}; at least {fitting.LEAST} are needed"
        + ("" if source else f": {_advice(run)}"))
  if not has_reader(run, stage):
    raise UserError(f"{run.path}: {NO_READER}; there are no answers to calibrate")
  chosen = chosen[:_MOST]
  dev = fitting.collect_dev(run.answerer(stage), chosen, run.config.evaluate.batch_size)
  fitted = dataclasses.replace(fitting.fit(dev), model=stage)
  calibration.write_calibration(run.calibration_path, fitted)
  logging.info("calibrated on %s of dev: %s", counted(len(chosen), "question"),
               fitted.rule)
  if weak := _doubt(run, fitted):
    logging.warning("%s", weak)
  return fitted


def _doubt(run: Run, fitted: Calibration) -> str:
  """Says where the probabilities tell little, why, and what helps."""
  auc = fitted.figures.get("probability_auc")  # none where all are right, or all wrong
  few = f"{counted(fitted.questions, 'question')} are few" if fitted.questions < _FEW else ""
  blind = ""
  if auc is not None and auc < _TOLD_APART:
    blind = f"right answers hardly have higher ones than wrong (AUC {auc:.3f}, by chance 0.5)"
  elif not fitted.figures.get("exact_match", 1.0):
    blind = "no answer is right"
  why = [reason for reason in (few, blind) if reason]
  if not why:
    return ""
  helps = [f"{_FEW} questions or more ({_advice(run)})"] if few else []
  helps += ["a better reader, by more questions of people to train on"] if blind else []
  return (f"the probabilities of answers tell little: {', and '.join(why)}; what helps is "
          + ", and ".join(helps))


def _dev_questions(run: Run) -> list[Question]:
  try:
    return run.questions("dev")
  except NoneNamed:
    raise UserError(f"{run.path}: no questions are named to calibrate by: {_advice(run)}"
                    ) from None


def _besides(left_out: int) -> str:
  """Why there are not more."""
  return "" if not left_out else (
      f", besides {left_out} that {'is' if left_out == 1 else 'are'} among the held-out "
      "ones, on which figures are reported")


def _advice(run: Run) -> str:
  return (f"`realm calibrate --workdir={shlex.quote(str(run.path))} --questions=FILE` takes "
          "some, with question and answer")


def calibrate_if_possible(run: Run, stage: str) -> None:
  """`calibrate`, unless that was done already; says in a line why it cannot be."""
  if run.calibration(stage).fitted:
    return
  try:
    calibrate(run, stage)
  except UserError as error:
    logging.info("not calibrated: %s", error)


def _held_out(run: Run) -> set[str]:
  try:
    return {question.question for question in run.questions("held_out")}
  except UserError:
    return set()


def probability_figures(run: Run, answerer: QuestionAnswerer, questions: Sequence[Question],
                        records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
  """Whether the probabilities of an evaluation mean something.

  Their AUC for being right, their calibration error and, of `config.evaluate.unanswerable`
  questions, what is said where the corpus has no answer.
  """
  right = [metrics.exact_match(record["prediction"], question.answers, question.regex)
           for question, record in zip(questions, records, strict=True)]
  probabilities = [record["probability"] for record in records]
  figures = confidence.confidence_figures(probabilities, right)
  count = min(run.config.evaluate.unanswerable, len(questions))
  if count:
    try:
      threshold = answerer.calibration.threshold(_PRECISION)
    except UserError:
      threshold = None
    figures |= unanswerable.unanswerable_figures(answerer, questions[:count],
                                                 probabilities[:count], threshold,
                                                 run.config.evaluate.batch_size)
  return figures
