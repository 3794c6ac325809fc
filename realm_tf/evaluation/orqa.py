"""What ORQA's scripts do to files: their data splits, and their score of predictions.

Source: google-research/language, `orqa` (Lee et al. 2019, arXiv 1906.00300).
"""

import contextlib
import pathlib
from typing import Any, Mapping, Sequence

import tensorflow as tf

from realm_tf import files
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import metrics
from realm_tf.files import PathLike
from realm_tf.jsonl import read_rows, text_field

_BUCKETS, _PARTS = 100000, 10


def is_held_out(questions: Sequence[str]) -> list[bool]:
  """Which questions of a training set ORQA takes for development: a tenth, by hash."""
  if not questions:
    return []
  buckets = tf.strings.to_hash_bucket_fast(tf.constant(list(questions)), _BUCKETS)
  return (buckets % _PARTS == 0).numpy().tolist()


def resplit_paths(name: str, folder: PathLike) -> dict[str, pathlib.Path]:
  """Where `resplit` writes, by part."""
  return {part: pathlib.Path(folder) / f"{name}.resplit.{part}.jsonl"
          for part in ("train", "dev")}


def resplit(source: PathLike, name: str, folder: PathLike) -> dict[str, int]:
  """Splits a training set into `<name>.resplit.train.jsonl` and `.dev.jsonl`.

  Lines stay as they are, in their order. Returns how many went where.
  """
  lines, questions = [], []
  for row in read_rows(source, "question"):
    lines.append(row.line)
    questions.append(text_field(row.fields, "question", row.where))
  parts: dict[str, list[str]] = {"train": [], "dev": []}
  for line, held_out in zip(lines, is_held_out(questions)):
    parts["dev" if held_out else "train"].append(line.strip("\ufeff\r\n") + "\n")
  with contextlib.ExitStack() as opened:  # both are on the disk before one is in its place
    for part, path in resplit_paths(name, folder).items():
      file = opened.enter_context(files.new_file(path, "w"))
      file.writelines(parts[part])
      file.flush()
  return {part: len(chosen) for part, chosen in parts.items()}


def score_predictions(questions: Sequence[Question], predictions: Mapping[str, str]
                      ) -> dict[str, Any]:
  """Accuracy as ORQA's `evaluate_predictions` counts it: a missing one is wrong.

  Questions are told apart by their text; of two with the same text the last counts.
  """
  references = {question.question: question for question in questions}
  missing = correct = 0
  for text, question in references.items():
    if text not in predictions:
      missing += 1
      continue
    correct += metrics.exact_match(predictions[text], question.answers, question.regex)
  return {"missing_predictions": missing, "num_correct": correct,
          "num_total": len(references), "accuracy": correct / len(references)}
