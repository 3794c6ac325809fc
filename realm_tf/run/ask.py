"""Questions from people and files, to a run or to an export."""

import json
import sys
from typing import Any, Sequence

import tensorflow as tf

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.evaluation import evaluate as evaluation
from realm_tf.report.terminal import mark_answer
from realm_tf.run.folder import Run
from realm_tf.serving import export as serving


def predict(run: Run, source: files.PathLike, target: files.PathLike) -> None:
  """Answers a JSONL file of questions, written whole or not at all."""
  questions = _read(source)
  answerer = run.answerer(run.newest_stage())
  records = evaluation.predict(
      answerer, questions, batch_size=run.config.evaluate.batch_size,
      passages=answerer.read_blocks)
  with files.new_file(target, "w") as file:
    for record in records:
      file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _read(path: files.PathLike) -> list[str]:
  questions = []
  try:
    with open(path, encoding="utf-8") as file:
      for number, line in enumerate(file, 1):
        try:
          questions.append(json.loads(line)["question"])
        except (json.JSONDecodeError, KeyError, TypeError):
          raise UserError(f"{path}, line {number}: expected a JSON object with the "
                          "field 'question'") from None
  except UnicodeDecodeError as error:
    raise UserError(f"{path}: not UTF-8 (byte {error.start})") from None
  if not questions:
    raise UserError(f"{path}: no questions in it")
  return questions


def ask_run(run: Run, questions: Sequence[str], as_json: bool) -> None:
  """Answers by the newest model of a run."""
  show(questions, run.answerer(run.newest_stage()).answer(tf.constant(list(questions)))
       ._asdict(), as_json)


def ask_export(folder: files.PathLike, questions: Sequence[str], as_json: bool
               ) -> list[dict[str, Any]]:
  """Answers by an exported SavedModel; returns what it prints."""
  model = serving.load(folder)  # held: its functions do not keep its variables
  return show(questions, model.answer(tf.constant(list(questions))), as_json)


def show(questions: Sequence[str], answers: dict[str, tf.Tensor], as_json: bool
         ) -> list[dict[str, Any]]:
  """Prints each answer and its passage with the answer marked in it."""
  columns = {name: value.numpy() for name, value in answers.items()}
  records = [{"question": question,
              **{name: _plain(column[i]) for name, column in columns.items()}}
             for i, question in enumerate(questions)]
  for record in records:
    if as_json:
      print(json.dumps(record, ensure_ascii=False))
      continue
    question = record["question"]
    print(f"\nQ: {question}\nA: {record['answer']}   (score {record['score']:.2f}, "
          f"from \"{record['title']}\")")
    print(mark_answer(record["passage"], record["start_byte"], record["end_byte"],
                      color=sys.stdout.isatty()))
  return records


def _plain(value: Any) -> Any:
  return value.decode() if isinstance(value, bytes) else value.item()
