"""The figures of a set of questions: one number for each question, then their means.

Whatever is said of a set of answers (its table, its intervals, what it gains over another)
is computed from the same numbers, one per question and figure. Plain Python: no TensorFlow.
Shape letter: Q questions.
"""

from typing import Any, Mapping, Sequence

import numpy as np

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import metrics
from realm_tf.registry import METRICS

_RULES = {"answer": "", "gold": "_by_gold", "substring": "_by_substring"}
Columns = dict[str, np.ndarray]  # figure -> [Q] float64, nan where a question has none


def ranks(question: Question, passages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
  """Where in a ranking the first right passage stands, by each rule of what is right.

  Args:
    question: its answers, and its gold passage if it names one.
    passages: `text` and `id` (of the document) of each, best first.

  Returns:
    `answer`: by words; `substring`: as published; `gold`: the question's own passage, any
    block of it, only where the question names one.
  """
  texts = [passage["text"] for passage in passages]
  rank_of = {"answer": metrics.rank_of_answer(texts, question.answers, question.regex),
             "substring": metrics.rank_of_substring(texts, question.answers, question.regex)}
  if question.gold_passage:
    ids = [passage["id"] for passage in passages]
    rank_of["gold"] = (ids.index(question.gold_passage) if question.gold_passage in ids
                       else metrics.NOT_FOUND)
  return rank_of


def per_question(questions: Sequence[Question], records: Sequence[Mapping[str, Any] | None],
                 recall_at: Sequence[int], read_blocks: int | None) -> Columns:
  """Each figure of each question; `docs/evaluation.md` says what they are.

  Args:
    questions: Q of them.
    records: what answers each. `prediction` may be missing (a ranking alone has no exact
      match), and so may `passages`; `ranks`, where it is there, is that of more passages
      than are listed. None: the question was not answered, which is wrong.
    recall_at: each k of recall@k.
    read_blocks: how many passages the reader read; None: not known, no reader oracle.
  """
  present = {name for record in records if record for name in record}
  unanswered = {name: nothing for name, nothing in (("prediction", None), ("passages", ()))
                if name in present}
  rows = [_row(question, unanswered if record is None else record, recall_at, read_blocks)
          for question, record in zip(questions, records, strict=True)]
  names = dict.fromkeys(name for row in rows for name in row)
  return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def _row(question: Question, record: Mapping[str, Any], recall_at: Sequence[int],
         read_blocks: int | None) -> dict[str, float]:
  row: dict[str, float] = {}
  if "passages" in record:
    rank_of = record.get("ranks") or ranks(question, record["passages"])
    for name, suffix in _RULES.items():
      if name in rank_of:
        row |= {f"recall@{k}{suffix}": _within(rank_of[name], k) for k in recall_at}
    if read_blocks is not None:
      row["reader_oracle"] = _within(rank_of["answer"], read_blocks)
  if "prediction" in record:
    row |= _of_prediction(question, record["prediction"])
  return row


def _within(rank: int, k: int) -> float:
  return float(rank != metrics.NOT_FOUND and rank < k)


def _of_prediction(question: Question, prediction: str | None) -> dict[str, float]:
  return {name: 0.0 if prediction is None else float(
      METRICS[name](prediction, question.answers, question.regex)) for name in METRICS}


def summary(questions: Sequence[Question], columns: Columns) -> dict[str, Any]:
  """Means with their 95 % intervals (`metrics.interval`), over all and by source.

  Returns:
    For each figure its mean, `<figure>_low` and `<figure>_high`; `questions`, how many, and
    `gold_questions`, how many of them name their passage, over which recall by gold is; and
    where questions name their source, `by_source`: source -> the same.
  """
  sources = np.array([question.source for question in questions])
  gold = np.array([bool(question.gold_passage) for question in questions])
  means = _means(columns, gold, np.ones(len(questions), bool))
  if sources.any():
    means["by_source"] = {source or "not named": _means(columns, gold, sources == source)
                          for source in sorted(set(sources.tolist()))}
  return means


def _means(columns: Columns, gold: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
  means: dict[str, Any] = {}
  for name, values in columns.items():
    values = values[chosen & ~np.isnan(values)]
    if len(values):
      low, high = metrics.interval(values, seed=0)
      means |= {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}
  means["questions"] = int(chosen.sum())
  if (gold & chosen).any():
    means["gold_questions"] = int((gold & chosen).sum())
  return means
