"""Questions with their answers, in JSON lines as ORQA publishes them."""

import dataclasses
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from absl import logging

from realm_tf.errors import UserError
from realm_tf.files import PathLike, new_file
from realm_tf.text.patterns import are_patterns, compile_pattern


@dataclasses.dataclass(frozen=True)
class Question:
  """A question and all of its right answers.

  Where `regex` is true the answers are patterns, as in CuratedTREC.
  """
  id: str
  question: str
  answers: tuple[str, ...]
  regex: bool = False


def read_questions(path: PathLike) -> list[Question]:
  """Reads JSON lines (plain or .gz), each with `question` and `answer`.

  `answer` is a string or a list of strings. Optional: `id` (default: the line number)
  and `regex`. Where no line says `regex`, it is told from the data set: see
  `patterns.are_patterns`. A published pattern that is malformed matches nothing, as in
  ORQA's evaluation, and is left out with a warning.
  """
  questions: list[Question] = []
  lines: dict[str, int] = {}
  told = False
  for number, line in _lines(path):
    question, said = _parse(line, f"{path}, line {number}", str(number))
    told = told or said
    if question.id in lines:
      raise UserError(f"{path}, line {number}: field 'id': {question.id!r} stands in "
                      f"line {lines[question.id]} already, expected another")
    lines[question.id] = number
    questions.append(question)
  if not questions:
    raise UserError(f"{path}: no questions in it, expected one JSON object per line")
  name = os.path.basename(path)
  if not told and are_patterns(name, [question.answers for question in questions]):
    logging.info("%s: its answers are read as regular expressions", path)
    return [_with_patterns(question, f"{path}, line {lines[question.id]}")
            for question in questions]
  return questions


def _with_patterns(question: Question, where: str) -> Question:
  patterns = []
  for answer in question.answers:
    try:
      compile_pattern(answer)
      patterns.append(answer)
    except UserError as error:
      logging.warning("%s: %s; it matches nothing", where, error)
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
      if question.regex:
        row["regex"] = True
      out.write(json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n")
    if packed:
      out.close()


def read_lines(path: PathLike) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
  """Number, bytes and JSON object of each line that is not empty (plain or .gz)."""
  for number, line in _lines(path):
    yield number, line, _decode(line, f"{path}, line {number}")


def _lines(path: PathLike) -> Iterator[tuple[int, bytes]]:
  open_file = gzip.open if str(path).endswith(".gz") else open
  try:
    with open_file(path, "rb") as file:
      for number, line in enumerate(file, start=1):
        if line.strip():
          yield number, line
  except FileNotFoundError:
    raise UserError(f"{path}: no such file") from None
  except (gzip.BadGzipFile, EOFError, zlib.error) as error:
    raise UserError(f"{path}: damaged gzip file ({error})") from None
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(line: bytes, where: str, default_id: str) -> tuple[Question, bool]:
  """The question, and whether the line says if its answers are patterns."""
  row = _decode(line, where)
  question = _text(row.get("question"), f"{where}: field 'question'")
  answers = row.get("answer")
  if isinstance(answers, str):
    answers = [answers]
  if not isinstance(answers, list) or not answers:
    raise UserError(f"{where}: field 'answer': expected a text or a list of texts "
                    f"that is not empty, not {json.dumps(answers)}")
  answers = tuple(_text(answer, f"{where}: field 'answer'") for answer in answers)
  name = row.get("id", default_id)
  if isinstance(name, int) and not isinstance(name, bool):
    name = str(name)
  name = _text(name, f"{where}: field 'id'")
  regex = row.get("regex", False)
  if not isinstance(regex, bool):
    raise UserError(f"{where}: field 'regex': expected true or false, not {regex!r}")
  if regex:
    _check_patterns(answers, where)
  return Question(name, question, answers, regex), "regex" in row


def _decode(line: bytes, where: str) -> dict[str, Any]:
  try:
    row = json.loads(line.decode("utf-8-sig"))
  except UnicodeDecodeError as error:
    raise UserError(f"{where}: not UTF-8 at byte {error.start} of the line") from None
  except (json.JSONDecodeError, RecursionError) as error:
    raise UserError(f"{where}: not valid JSON ({error})") from None
  if not isinstance(row, dict):
    raise UserError(f"{where}: expected a JSON object with 'question' and 'answer'")
  return row


def _text(value: Any, where: str) -> str:
  if not isinstance(value, str) or not value.strip():
    raise UserError(f"{where}: expected a text that is not empty, "
                    f"not {json.dumps(value)}")
  try:
    value.encode("utf-8")
  except UnicodeEncodeError:  # JSON may spell half a surrogate pair
    raise UserError(f"{where}: {value!a} is not valid Unicode text") from None
  return value


def _check_patterns(answers: tuple[str, ...], where: str) -> None:
  for answer in answers:
    try:
      compile_pattern(answer)
    except UserError as error:
      raise UserError(f"{where}: field 'answer': {error}") from None
