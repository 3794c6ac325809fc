"""The questions of a run: to train on, to choose the best model by, and held out."""

import pathlib
from typing import Callable

from realm_tf.config import RealmConfig
from realm_tf.corpus.store import Corpus
from realm_tf.datasets import dev
from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError

PARTS = ("train", "dev", "held_out")


def questions(config: RealmConfig, folder: pathlib.Path, part: str,
              corpus: Callable[[], Corpus]) -> list[Question]:
  """The questions of a part.

  Args:
    config: of the run.
    folder: in which `train.jsonl` and `held_out.jsonl` are, where the run made them.
    part: "train", "dev" or "held_out". Dev questions are those of `config.dev.questions`, or
      a share of those to train on; there may be none. What is asked in dev is not in train.
    corpus: opens it, for the titles of gold passages.

  Raises:
    UserError: the config names no file, or it cannot be read.
  """
  if part == "held_out":
    return _read(config.evaluate.questions, folder, part, "evaluate")
  if part == "dev" and config.dev.questions:
    return read_questions(config.dev.questions)
  train = _read(config.finetune.questions, folder, "train", "finetune")
  if config.dev.questions:
    asked = read_questions(config.dev.questions)
  else:
    train, asked = dev.split(train, _groups(train, corpus), config.dev.share, config.dev.most)
  if part == "dev":
    return asked
  texts = {question.question for question in asked}
  return [question for question in train if question.question not in texts]


def _read(path: str, folder: pathlib.Path, part: str, section: str) -> list[Question]:
  prepared = folder / f"{part}.jsonl"
  if path or prepared.exists():
    return read_questions(path or prepared)
  raise UserError(f"config.{section}.questions: name a JSONL file with question and answer")


def _groups(questions: list[Question], corpus: Callable[[], Corpus]) -> list[str]:
  """Of each question the title of its gold passage, or else its own text."""
  gold = [question.gold_passage for question in questions]
  titles: dict[str, str] = {}
  if any(gold):
    titles = {document: title.decode() for document, title in zip(
        corpus().document_ids, corpus().titles)}
  return [titles.get(passage) or passage or question.question
          for passage, question in zip(gold, questions)]
