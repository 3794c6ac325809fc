"""Files of predictions: JSON lines that say what was answered, and from which passages.

`realm predict` writes them, and an evaluation those of its questions, with the answers that
were wanted. Other systems' need `question` and `prediction` only. Plain Python.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from realm_tf.datasets.questions import Question, check_patterns
from realm_tf.errors import UserError
from realm_tf.evaluation import figures
from realm_tf.files import PathLike
from realm_tf.jsonl import (
  Row,
  checked_text,
  id_field,
  number_as_text,
  quoted,
  read_rows,
  text_field,
)

_LISTED = 5  # passages of an evaluation's records
Record = dict[str, Any]


class Depth(NamedTuple):
  """How far down records list what was retrieved."""
  ranked: float  # passages whose ranks are known; infinite where they are the whole corpus
  read_blocks: int | None  # passages that the reader read, if that is known

  def of(self, recall_at: Iterable[int]) -> list[int]:
    """Those k at which recall is known."""
    return [k for k in recall_at if k <= self.ranked]


def depth(records: Iterable[Mapping[str, Any]]) -> Depth:
  """The depth of the record that lists least."""
  ranked, read = math.inf, set()
  for record in records:
    listed = record.get("ranked", len(record.get("passages", ())))
    ranked = min(ranked, math.inf if listed >= record.get("blocks", math.inf) else listed)
    read.add(record.get("read_blocks"))
  only = read.pop() if len(read) == 1 else None
  return Depth(ranked, only if only is not None and only <= ranked else None)


def evaluated(question: Question, record: Record, **facts: Any) -> Record:
  """What an evaluation keeps of a record: few passages, and what all of them were.

  Args:
    question: with its answers.
    record: as `evaluate.predict_records` yields it, or `passages` alone. Its own `answers`,
      of which the model is less sure, become `predictions`; `answers` are the right ones.
    **facts: of the answerer: `read_blocks`, `blocks`.
  """
  passages = record["passages"]
  predictions = {"predictions": record["answers"]} if "answers" in record else {}
  labels = {name: getattr(question, name) for name in ("regex", "gold_passage", "source")
            if getattr(question, name)}
  return {"id": question.id, "question": question.question, **labels, **record,
          "answers": list(question.answers), **predictions, "passages": passages[:_LISTED],
          "ranked": len(passages), "ranks": figures.ranks(question, passages),
          "rows": [passage["row"] for passage in passages], **facts}


def read_predictions(path: PathLike) -> list[Record]:
  """Reads a file of predictions; what `evaluated` adds is there or not.

  Raises:
    UserError: names file, line and field; or there is no prediction in it.
  """
  records: list[Record] = []
  lines: dict[str, int] = {}
  for row in read_rows(path, "question and prediction"):
    records.append(_checked(row))
    name = row.fields.get("id")
    if name in lines:
      raise UserError(f"{row.where}: field 'id': {quoted(name)} is there already, in line "
                      f"{lines[name]}; expected each id once")
    if name is not None:
      lines[name] = row.number
  if not records:
    raise UserError(f"{path}: no predictions in it; expected one JSON object per line")
  return records


def _checked(row: Row) -> Record:
  record = row.fields
  text_field(record, "question", row.where)
  if "ranks" not in record or "prediction" in record:  # a ranking alone has none
    if "prediction" in record:
      record["prediction"] = number_as_text(record["prediction"])
    text_field(record, "prediction", row.where)
  if "id" in record:
    record["id"] = id_field(record, row.where)
  passages = record.get("passages", [])
  if not isinstance(passages, list) or not all(isinstance(item, dict) for item in passages):
    raise UserError(f"{row.where}: field 'passages': expected a list of objects with id and "
                    "text")
  for number, passage in enumerate(passages, 1):
    where = f"{row.where}: field 'passages', number {number}"
    text_field(passage, "text", where)
    passage["id"] = id_field(passage, where)
  for name in ("read_blocks", "blocks", "ranked"):
    if name in record and (not isinstance(record[name], int) or record[name] < 0):
      raise UserError(f"{row.where}: field '{name}': expected a count")
  for name in ("gold_passage", "source"):
    if name in record:
      text_field(record, name, row.where)
  if not isinstance(record.get("regex", False), bool):
    raise UserError(f"{row.where}: field 'regex': expected true or false")
  if "ranks" in record and not _are_ranks(record["ranks"]):
    raise UserError(f"{row.where}: field 'ranks': expected an object with answer and "
                    "substring, whole numbers")
  return record


def _are_ranks(value: Any) -> bool:
  return (isinstance(value, dict) and {"answer", "substring"} <= value.keys()
          and all(isinstance(rank, int) for rank in value.values()))


def questions_of(path: PathLike, records: Sequence[Record]) -> list[Question]:
  """The questions in an evaluation's records, with their answers.

  Raises:
    UserError: a record has no answers, as those of `realm predict`, or none that can be read.
  """
  questions = []
  for number, record in enumerate(records, 1):
    answers = record.get("answers")
    where = f"{path}: prediction {number}"
    if not isinstance(answers, list) or not all(isinstance(item, str) for item in answers):
      raise UserError(f"{where}: field 'answers' does not hold the right answers, as an "
                      "evaluation writes them; name the questions by --questions")
    field, regex = f"{where}: field 'answers'", record.get("regex", False)
    for answer in answers:
      checked_text(answer, field)
    if regex:
      check_patterns(answers, field)
    questions.append(Question(
        record.get("id", str(number)), record["question"], tuple(answers), regex,
        record.get("gold_passage", ""), record.get("source", "")))
  return questions


def matched(questions: Sequence[Question], records: Sequence[Record]) -> list[Record | None]:
  """The record of each question, None where there is none.

  Matched by id and text, or by text alone; of two records of one text the last counts.
  """
  by_both = {(record.get("id"), record["question"]): record for record in records}
  by_text = {record["question"]: record for record in records}
  return [by_both.get((question.id, question.question), by_text.get(question.question))
          for question in questions]


def check_same(questions: Sequence[Question], path: PathLike, records: Sequence[Record],
               expected: str) -> list[Record]:
  """`matched`, where each question has a record of its own and each record a question.

  Raises:
    UserError: the questions differ; names the first that is on one side only.
  """
  record_of = matched(questions, records)
  for question, record in zip(questions, record_of):
    if record is None:
      raise UserError(f"{path}: the questions differ: {quoted(question.question)} of "
                      f"{expected} is not there; expected the same questions")
  complete = [record for record in record_of if record is not None]
  used = set(map(id, complete))
  extra = [record for record in records if id(record) not in used]
  if extra:
    raise UserError(f"{path}: the questions differ: {quoted(extra[0]['question'])} is there "
                    f"once more than in {expected}; expected the same questions")
  if len(used) < len(complete):
    raise UserError(f"{path}: the questions differ: fewer are there than in {expected}; "
                    "expected the same questions, each with an id")
  return complete


def file_figures(questions: Sequence[Question], records: Sequence[Record],
                 path: PathLike, recall_at: Sequence[int]) -> dict[str, Any]:
  """The figures that an evaluation gives, of predictions in a file.

  Args:
    questions: with their answers; one without a prediction was answered wrong.
    records: as `read_predictions` gives them.
    path: of their file, for the error.
    recall_at: each k of recall@k, where the passages that are listed reach so far.

  Raises:
    UserError: not one of the questions is answered.
  """
  record_of = matched(questions, records)
  if not any(record_of):
    raise UserError(f"{path}: none of its predictions is of a question that was asked; "
                    "expected the same questions")
  depth_of_file = depth(records)
  return figures.summary(questions, figures.per_question(
      questions, record_of, depth_of_file.of(recall_at), depth_of_file.read_blocks))
