"""What a run's retrieval is measured against: BM25 over the same blocks, and both as one."""

from collections.abc import Iterable, Sequence

import numpy as np

from realm_tf import files
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import figures, predictions
from realm_tf.evaluation.bm25 import bm25_rows
from realm_tf.evaluation.fusion import fuse
from realm_tf.jsonl import write_rows
from realm_tf.run import evaluations
from realm_tf.run.folder import Run
from realm_tf.run.held_out_questions import checked_questions, measured, same_measure

BM25 = "BM25"


def bm25(run: Run) -> None:
  """Evaluates the baseline to beat, once: recall alone, as BM25 answers nothing."""
  questions = checked_questions(run)
  if _is_current(run, BM25, questions):
    return
  documents = (f"{title.decode()} {text.decode()}"
               for title, text in zip(run.corpus.titles, run.corpus.texts))
  rows = bm25_rows([question.question for question in questions], documents, _depth(run),
                   scratch=run.path)
  _write(run, BM25, questions, rows)


def hybrid(run: Run, stage: str) -> None:
  """Evaluates a stage's ranking fused with BM25's, once, in figures of its own."""
  questions = checked_questions(run)
  name = hybrid_name(stage)
  if _is_current(run, name, questions):
    return
  paths = [evaluations.predictions_path(run.path, ranking) for ranking in (stage, BM25)]
  matched = [predictions.matched(questions, predictions.read_predictions(path))
             for path in paths]
  _write(run, name, questions, [
      fuse([record["rows"] for record in records if record], _depth(run))
      for records in zip(*matched)])


def hybrid_name(stage: str) -> str:
  return f"{stage} + {BM25}"


def _depth(run: Run) -> int:
  return min(max(run.config.evaluate.recall_at), run.corpus.num_blocks)


def _is_current(run: Run, name: str, questions: Sequence[Question]) -> bool:
  path = evaluations.metrics_path(run.path, name)
  return (path.exists() and evaluations.predictions_path(run.path, name).exists()
          and same_measure(files.read_object(path), measured(run, questions)))


def _write(run: Run, name: str, questions: Sequence[Question],
           rankings: Iterable[Sequence[int] | np.ndarray]) -> None:
  corpus = run.corpus
  records = [predictions.evaluated(question, {"passages": [
      {"id": corpus.document_ids[row], "row": int(row), "title": corpus.titles[row].decode(),
       "text": corpus.texts[row].decode()} for row in ranking]}, blocks=corpus.num_blocks)
             for question, ranking in zip(questions, rankings, strict=True)]
  summary = figures.summary(questions, figures.per_question(
      questions, records, run.config.evaluate.recall_at, None))
  write_rows(evaluations.predictions_path(run.path, name), records)
  files.write_json(evaluations.metrics_path(run.path, name),
                   summary | measured(run, questions))
