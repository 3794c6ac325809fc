"""Questions as SQuAD, DPR and others publish them, as rows with `question` and `answer`.

    SQuAD       one object, {"data": [{"paragraphs": [{"qas": [{"question", "answers"}]}]}]}
    DPR         one array of {"question", "answers": [...], "positive_ctxs": ...}
    JSON lines  with `answer` or `answers`: texts, objects with `text`, or an object of a
                list of those, or with `value` and `aliases`, as TriviaQA has it
    tables      see `question_tables`

Which passage a question is about is not taken over: its id is of another corpus.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from absl import logging

from realm_tf.counted import counted
from realm_tf.datasets.question_tables import (
  check_header,
  first_record,
  is_table,
  read_closed_lines,
)
from realm_tf.files import PathLike
from realm_tf.jsonl import Row, SpelledFloat, number_as_text, parse_rows
from realm_tf.lines import read_lines


def read_question_rows(path: PathLike, expected: str, answered: bool = True
                       ) -> Iterator[Row]:
  """The rows of a file of questions, in whichever of these shapes; `answered`: a table needs
  a column of answers.

  Raises:
    UserError: as `jsonl.read_rows`.
  """
  lines = read_lines(path, f"JSON lines with {expected}")
  begin: list[tuple[int, str]] = []
  for numbered in lines:
    begin.append(numbered)
    # Excel's first line may say what stands between values, and no more.
    if numbered[1].strip("\ufeff \t\r\n") and not numbered[1].startswith("sep="):
      break
  number, line = begin[-1] if begin else (0, "")
  first, rest = first_record(line, lines) if begin else ("", [])
  begin += rest
  check_header(path, number, first, answered)
  if is_table(first):
    rows = read_closed_lines(itertools.chain(begin, lines), path, first, expected)
    yield from (row._replace(fields=_as_ours(row.fields)) for row in rows)
    return
  if begin and not _is_a_row(first):
    begin += lines
    entries = _entries("".join(text for _, text in begin))
    if entries:
      yield from _rows(path, entries)
      return
  for row in parse_rows(itertools.chain(begin, lines), path, expected):
    yield row._replace(fields=_as_ours(row.fields))


def _is_a_row(line: str) -> bool:
  try:
    value = json.loads(line.lstrip("\ufeff"))
  except (ValueError, RecursionError):
    return False
  return isinstance(value, dict) and not isinstance(value.get("data"), list)


def _entries(text: str) -> list[Any]:
  """The questions of a file that is one value; none where it is of no such shape."""
  try:
    content = json.loads(text.lstrip("\ufeff"), parse_float=SpelledFloat)
    if isinstance(content, dict):
      return [dict(entry) for article in content["data"]
              for paragraph in article["paragraphs"] for entry in paragraph["qas"]]
  except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
    return []
  return content if isinstance(content, list) and all(
      isinstance(entry, dict) for entry in content) else []


def _rows(path: PathLike, entries: list[Any]) -> Iterator[Row]:
  without = 0
  for number, fields in enumerate(entries, 1):
    if fields.get("is_impossible"):  # SQuAD 2.0
      without += 1
    else:
      yield Row(f"{path}: entry {number}", number, "", _as_ours(fields))
  if without:
    logging.info("%s: left out: %s without an answer", path, counted(without, "question"))


def _as_ours(fields: dict[str, Any]) -> dict[str, Any]:
  """The fields by our names: `answers`, of any kind, is `answer`, a list of texts."""
  answers = fields.get("answer")
  if answers is None:
    answers = fields.get("answers")
  elif not isinstance(answers, dict) and not (
      isinstance(answers, list) and any(isinstance(one, dict | list) for one in answers)):
    return fields
  if answers is None:
    return fields
  if isinstance(answers, dict):
    answers = _of_object(answers)
  if isinstance(answers, list):
    texts = [number_as_text(text) for answer in answers for text in (
        answer if isinstance(answer, list) else [_of_object(answer)])]
    # Annotators agree, and texts are there twice; what is no text is told of later.
    answers = [text for place, text in enumerate(texts) if text not in texts[:place]]
  return {**fields, "answer": answers}


def _of_object(answer: Any) -> Any:
  """The texts of SQuAD's and TriviaQA's objects; all else as it is."""
  if not isinstance(answer, dict):
    return answer
  if isinstance(value := answer.get("value"), str) and isinstance(
      aliases := answer.get("aliases", []), list):
    return [value, *aliases]
  return answer.get("text", answer)
