"""Two runs, or two files of predictions, side by side."""

import pathlib
from collections.abc import Sequence

from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.evaluation import figures, predictions
from realm_tf.evaluation.figures import Columns
from realm_tf.files import PathLike
from realm_tf.jsonl import quoted
from realm_tf.run import evaluations
from realm_tf.run.baselines import BM25
from realm_tf.run.commands_to_copy import command
from realm_tf.run.folder import STAGES, WARM_START


def named_predictions(name: PathLike, stage: str | None) -> pathlib.Path:
  """The file of predictions that is meant: `name` itself, or that of a run's stage.

  Raises:
    UserError: a run of which that stage, or none, was evaluated.
  """
  path = pathlib.Path(name)
  if not path.is_dir():
    return path
  if not (path / "config.json").exists():
    raise UserError(f"{path}: no config.json there; expected a run's folder, or a file of "
                    "predictions")
  candidates = [evaluations.predictions_path(path, candidate)
                for candidate in ([stage] if stage else [*reversed(STAGES), WARM_START])]
  chosen = next((candidate for candidate in candidates if candidate.exists()), None)
  if chosen is None:
    missing = f"{stage} was not" if stage else "no stage was"
    raise UserError(f"{path}: {missing} evaluated; run {command('evaluate', path)}, "
                    f"or name another by --stage, such as {BM25}")
  return chosen


def paired(paths: Sequence[pathlib.Path], given: Sequence[Question] | None,
           recall_at: Sequence[int]) -> tuple[Columns, Columns]:
  """The figures of both files, of the same questions in the same order.

  Args:
    paths: of A and of B.
    given: the questions with their answers; None: as an evaluation wrote them into A and B.
    recall_at: each k of recall@k, where both know what was retrieved so far down.

  Raises:
    UserError: the questions differ, or what is right differs, or is not known.
  """
  predicted = [predictions.read_predictions(path) for path in paths]
  if given is None:
    questions, expected = predictions.questions_of(paths[0], predicted[0]), str(paths[0])
  else:
    questions, expected = list(given), "--questions"
  records = [predictions.check_same(questions, path, listed, expected)
             for path, listed in zip(paths, predicted)]
  if given is None:
    _check_answers(paths, questions, predictions.questions_of(paths[1], records[1]))
  depths = map(predictions.depth, records)
  a, b = (figures.per_question(questions, listed, depth.of(recall_at), depth.read_blocks)
          for listed, depth in zip(records, depths))
  return a, b


def _check_answers(paths: Sequence[pathlib.Path], ours: Sequence[Question],
                   theirs: Sequence[Question]) -> None:
  for a, b in zip(ours, theirs):
    if set(a.answers) != set(b.answers) or a.regex != b.regex:
      raise UserError(f"{paths[1]}: the questions differ: the right answers to "
                      f"{quoted(a.question)} are others than in {paths[0]}; name the "
                      "questions by --questions")
