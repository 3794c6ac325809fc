"""Questions from people and files, to a run or to an export."""

import json
import sys
from typing import Any, Sequence

import tensorflow as tf

from realm_tf import files
from realm_tf.datasets.questions import checked_question, read_questions
from realm_tf.evaluation import evaluate as evaluation
from realm_tf.report.terminal import mark_answer
from realm_tf.run.folder import Run
from realm_tf.serving import export as serving


def predict(run: Run, source: files.PathLike, target: files.PathLike,
            passages: int | None = None) -> None:
  """Answers a JSONL file of questions, written whole or not at all.

  Args:
    run: whose newest model answers.
    source: read as `evaluate` reads it; answers need not be there.
    target: JSON lines: the questions' `id` and text, prediction, score, passages.
    passages: how many, best first, the lines list; as many as are read where None.
  """
  questions = read_questions(source, answered=False)
  answerer = run.answerer(run.newest_stage())
  listed = min(passages or answerer.read_blocks, run.corpus.num_blocks)
  records = evaluation.predict(
      answerer, [question.question for question in questions],
      batch_size=run.config.evaluate.batch_size, passages=listed)
  with files.new_file(target, "w") as file:
    for question, record in zip(questions, records, strict=True):
      record = {"id": question.id, **record, "passages": record["passages"][:listed],
                "read_blocks": answerer.read_blocks, "blocks": answerer.num_blocks}
      file.write(json.dumps(record, ensure_ascii=False) + "\n")


def ask_run(run: Run, questions: Sequence[str], as_json: bool) -> None:
  """Answers by the newest model of a run."""
  _check(questions)
  show(questions, run.answerer(run.newest_stage()).answer(tf.constant(list(questions)))
       ._asdict(), as_json)


def ask_export(folder: files.PathLike, questions: Sequence[str], as_json: bool
               ) -> list[dict[str, Any]]:
  """Answers by an exported SavedModel; returns what it prints."""
  _check(questions)
  model = serving.load_saved_model(folder)  # held: its functions do not keep its variables
  return show(questions, model.answer(tf.constant(list(questions))), as_json)


def _check(questions: Sequence[str]) -> None:
  for number, question in enumerate(questions, 1):
    checked_question(question, f"question {number}")


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
