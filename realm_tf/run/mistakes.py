"""The mistakes of a run's newest stage, by kind, with the passages that explain them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from realm_tf import files
from realm_tf.corpus.document_rows import document_rows
from realm_tf.datasets.matching import find_occurrences
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import metrics, predictions
from realm_tf.evaluation.mistake_kinds import MISTAKE_KINDS, mistake_kind
from realm_tf.run import evaluations
from realm_tf.run.folder import Run

Mistake = dict[str, Any]


class Mistakes(NamedTuple):
  """What was answered wrong, and of how many questions."""
  mistakes: list[Mistake]
  questions: int


def find_mistakes(run: Run) -> Mistakes | None:
  """All of them, kind by kind as in `MISTAKE_KINDS`, the surest ones first; None where
  nothing was evaluated.

  Each has `kind`, `reason` (what is near), the question with the `expected` answers, what was
  predicted and from which passage, and `right`: the passage that holds an answer, or the
  question's own, with its `rank` (from 0; -1: not retrieved), or None.
  """
  stage = run.newest_stage()
  path, metrics_file = (place(run.path, stage) for place in (
      evaluations.predictions_path, evaluations.metrics_path))
  if (not path.exists() or not metrics_file.exists()
      or files.read_object(metrics_file).get("corpus") != run.corpus.hash[:16]):
    return None  # documents came or went since: its rows are other blocks now
  records = predictions.read_predictions(path)
  if any("ranks" not in record or "prediction" not in record for record in records):
    return None  # of an earlier version, or of a model that cannot read
  wrong = [(question, record, *kind)
           for question, record in zip(predictions.questions_of(path, records), records)
           if (kind := mistake_kind(question, record)) is not None]
  absent = _absent(run, [question for question, _, kind, _ in wrong if kind == "missed"])
  own = _rows_of(run, {question.gold_passage for question, *_ in wrong})
  mistakes = [
      _mistake(question, record, "absent" if question.id in absent else kind, reason,
               _right_passage(run, question, record, own.get(question.gold_passage, [])))
      for question, record, kind, reason in wrong]
  order = list(MISTAKE_KINDS)
  return Mistakes(sorted(mistakes, key=lambda mistake: (
      order.index(mistake["kind"]), -mistake.get("probability", 0.0))), len(records))


def _rows_of(run: Run, documents: set[str]) -> dict[str, list[int]]:
  """The blocks of some documents."""
  of_corpus = document_rows(run.corpus)
  return {name: of_corpus.of(name).tolist() for name in documents if name}


def _absent(run: Run, questions: Sequence[Question]) -> set[str]:
  """The ids of those no answer of which stands anywhere; patterns are not searched."""
  plain = [question for question in questions if not question.regex]
  if not plain:
    return set()
  places = find_occurrences([question.answers for question in plain], run.corpus,
                            run.corpus.tokenizer)
  return {question.id for question, first, end in zip(plain, places.splits, places.splits[1:])
          if first == end}


def _mistake(question: Question, record: predictions.Record, kind: str, reason: str,
             right: dict[str, Any] | None) -> Mistake:
  copied = ("prediction", "score", "probability", "passage_id", "title", "passage", "start",
            "end")
  return {"kind": kind, "reason": reason, "id": question.id, "question": question.question,
          "expected": question.answers, "regex": question.regex, "source": question.source,
          "gold_passage": question.gold_passage,
          **{name: record[name] for name in copied if name in record}, "right": right}


def _right_passage(run: Run, question: Question, record: predictions.Record, own: list[int]
                   ) -> dict[str, Any] | None:
  """The best retrieved passage with an answer, or else one of the question's own."""
  corpus, rank = run.corpus, record["ranks"]["answer"]
  if rank != metrics.NOT_FOUND:
    row = record["rows"][rank]
  elif own:
    finds = (row for row in own if metrics.rank_of_answer(
        [corpus.texts[row].decode()], question.answers, question.regex) == 0)
    row, rank = next(finds, own[0]), record["ranks"].get("gold", metrics.NOT_FOUND)
  else:
    return None
  return {"id": corpus.document_ids[row], "rank": rank, "title": corpus.titles[row].decode(),
          "text": corpus.texts[row].decode()}
