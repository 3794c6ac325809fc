"""Questions with their answers, in JSON lines as ORQA publishes them."""

import dataclasses
import gzip
import json
import os
from collections.abc import Iterable
from typing import Any

from absl import logging

from realm_tf.datasets.other_shapes import read_question_rows
from realm_tf.errors import UserError
from realm_tf.files import PathLike, new_file
from realm_tf.jsonl import (
  Row,
  checked_text,
  id_field,
  is_blank,
  number_as_text,
  quoted,
  text_field,
)
from realm_tf.text.patterns import are_patterns, compile_pattern

_ASKED = 'question, as {"question": "Who is it?"}'
_ANSWERED = 'question and answer, as {"question": "Who is it?", "answer": "Ona"}'


@dataclasses.dataclass(frozen=True)
class Question:
  """A question and all of its right answers.

  Attributes:
    id: once in a file.
    question: its text.
    answers: any of them is right.
    regex: the answers are patterns, as in CuratedTREC.
    gold_passage: id of the document from which the question was written; "" if unknown.
    source: the data set that it is from, by which figures are grouped; "" if unknown.
    where: "path:line" where it was read, for errors.
  """
  id: str
  question: str
  answers: tuple[str, ...]
  regex: bool = False
  gold_passage: str = ""
  source: str = ""
  where: str = dataclasses.field(default="", compare=False, repr=False)


def read_questions(path: PathLike, answered: bool = True) -> list[Question]:
  """Reads JSON lines (plain or compressed), each with `question` and `answer`, or what
  `other_shapes` reads as such.

  `answer` is a string or a list of strings; a number is taken as it is spelled. Optional:
  `id` (default: the line number), `gold_passage` (id of a document), `source` and `regex`.
  Where no line says `regex`, the data set decides: see `patterns.are_patterns`. A published
  pattern that is malformed matches nothing, as in ORQA's evaluation, and is left out with a
  warning.

  Args:
    path: of the file.
    answered: without it, answers and where they come from are not looked at, and no
      question has any.

  Raises:
    UserError: names file, line and field.
  """
  questions: list[Question] = []
  lines: dict[str, int] = {}
  is_stated = False
  for row in read_question_rows(path, _ANSWERED if answered else _ASKED, answered):
    question = _parse(row, answered)
    is_stated = is_stated or "regex" in row.fields
    if question.id in lines:
      raise UserError(f"{row.where}: field 'id': {quoted(question.id)} is there already, in "
                      f"{'line' if row.line else 'entry'} {lines[question.id]}; expected "
                      "each id once")
    lines[question.id] = row.number
    questions.append(question)
  if not questions:
    raise UserError(f"{path}: no questions in it; expected one JSON object per line")
  name = os.path.basename(path)
  if not is_stated and are_patterns(name, [question.answers for question in questions]):
    logging.info("%s: its answers are read as regular expressions", path)
    questions = [_with_patterns(question) for question in questions]
    if not any(question.answers for question in questions):
      raise UserError(f"{path}: no usable question in it: every answer is a malformed "
                      "pattern; expected regular expressions")
  return questions


def _with_patterns(question: Question) -> Question:
  patterns = []
  for answer in question.answers:
    try:
      compile_pattern(answer)
      patterns.append(answer)
    except UserError as error:
      logging.warning("%s: %s; it matches nothing", question.where, error)
  return dataclasses.replace(question, answers=tuple(patterns), regex=True)


def write_questions(path: PathLike, questions: Iterable[Question]) -> None:
  """Writes what `read_questions` reads, compressed where the name ends in .gz."""
  with new_file(path) as file:
    packed = str(path).endswith(".gz")
    # Neither time nor name in the header: the same questions give the same bytes.
    out = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if packed else file
    for question in questions:
      row: dict[str, Any] = {
          "id": question.id, "question": question.question,
          "answer": list(question.answers)}
      row |= {name: getattr(question, name) for name in ("regex", "gold_passage", "source")
              if getattr(question, name)}
      out.write(json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n")
    if packed:
      out.close()


def checked_question(value: Any, label: str) -> str:
  """`value`, if it can be asked: valid text that is not blank; `label` begins the error."""
  question = checked_text(value, label)
  if is_blank(question):
    raise UserError(f"{label} is empty or blank; expected a question")
  return question


def check_questions(questions: Iterable[str]) -> None:
  """Raises `UserError` for the first that cannot be asked, by its number."""
  for number, question in enumerate(questions, 1):
    checked_question(question, f"question {number}")


def _parse(row: Row, answered: bool) -> Question:
  question = checked_question(text_field(row.fields, "question", row.where),
                              f"{row.where}: field 'question'")
  name = id_field(row.fields, row.where) if "id" in row.fields else str(row.number)
  if not answered:
    return Question(name, question, (), where=row.where)
  regex = row.fields.get("regex", False)
  if not isinstance(regex, bool):
    raise UserError(f"{row.where}: field 'regex' is {type(regex).__name__}; expected true or "
                    "false")
  answers = _answers(row)
  if regex:
    check_patterns(answers, f"{row.where}: field 'answer'")
  stated = {field for field in ("gold_passage", "source")
            if row.fields.get(field) is not None}
  return Question(
      name, question, answers, regex, where=row.where,
      gold_passage=(id_field(row.fields, row.where, "gold_passage")
                    if "gold_passage" in stated else ""),
      source=(text_field(row.fields, "source", row.where).strip()
              if "source" in stated else ""))


def _answers(row: Row) -> tuple[str, ...]:
  answers = number_as_text(row.fields.get("answer"))
  if isinstance(answers, str):
    answers = [answers]
  elif not isinstance(answers, list):  # one that is missing, or of another type
    text_field(row.fields, "answer", row.where)
  field, answers = f"{row.where}: field 'answer'", list(map(number_as_text, answers))
  if not answers or any(is_blank(checked_text(answer, field)) for answer in answers):
    raise UserError(f"{field} holds nothing, or an empty text; expected a text or a list of "
                    "texts")
  return tuple(answers)


def check_patterns(answers: Iterable[str], label: str) -> None:
  """Raises `UserError` where one is no regular expression; `label` begins it."""
  for answer in answers:
    try:
      compile_pattern(answer)
    except UserError as error:
      raise UserError(f"{label}: {error}") from None
