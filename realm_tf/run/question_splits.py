"""The questions of a run: to train on, to choose the best model by, and held out."""

import pathlib
from typing import Callable

from realm_tf.config import RealmConfig
from realm_tf.corpus.document_rows import document_rows
from realm_tf.corpus.store import Corpus
from realm_tf.datasets import dev
from realm_tf.datasets.questions import Question, read_questions
from realm_tf.errors import UserError

_FEWEST_TO_HOLD_OUT = 30  # a fifth of them shows at least what went quite wrong


class NoneHeldOut(UserError):
  """No held-out questions are named, and those to train on are too few to take some."""


class NoneNamed(UserError):
  """No file of questions is named."""


def questions(config: RealmConfig, folder: pathlib.Path, part: str,
              corpus: Callable[[], Corpus]) -> list[Question]:
  """The questions of a part.

  Args:
    config: of the run.
    folder: in which `train.jsonl` and `held_out.jsonl` are, where the run made them.
    part: "train", "dev" or "held_out". Held-out questions are those of
      `config.evaluate.questions`, or a share of those to train on. Dev questions are those of
      `config.dev.questions`, or a share of what is left; there may be none. What is asked in
      one part is in no other.
    corpus: opens it, for the titles of gold passages.

  Raises:
    UserError: a file cannot be read.
    NoneNamed: the config names none.
    NoneHeldOut: there are none, since the questions are too few.
  """
  named = config.evaluate.questions or (folder / "held_out.jsonl").exists()
  if part == "held_out" and named:
    return _read(config.evaluate.questions, folder, part, "evaluate")
  if part == "dev" and config.dev.questions:
    return read_questions(config.dev.questions)
  train = _read(config.finetune.questions, folder, "train",
                "evaluate" if part == "held_out" else "finetune")
  groups = _groups(train, corpus)
  if not named:
    train, held_out = dev.take_out(train, groups, config.evaluate.share, len(train),
                                   "held out", _FEWEST_TO_HOLD_OUT)
    groups = _groups(train, corpus)
    if part == "held_out" and not held_out:
      raise NoneHeldOut("config.evaluate.questions: name a JSONL file with question and "
                        "answer; those of config.finetune.questions are too few to take some")
    if part == "held_out":
      return held_out
  if config.dev.questions:
    dev_questions = read_questions(config.dev.questions)
  else:
    train, dev_questions = dev.take_out(train, groups, config.dev.share, config.dev.most)
  if part == "dev":
    return dev_questions
  texts = {question.question for question in dev_questions}
  return [question for question in train if question.question not in texts]


def _read(path: str, folder: pathlib.Path, part: str, section: str) -> list[Question]:
  prepared = folder / f"{part}.jsonl"
  if path or prepared.exists():
    return read_questions(path or prepared)
  raise NoneNamed(f"config.{section}.questions: name a JSONL file with question and answer")


def _groups(questions: list[Question], corpus: Callable[[], Corpus]) -> list[str]:
  """Of each question the title of its gold passage, or else its own text."""
  gold = [question.gold_passage for question in questions]
  titles: dict[str, str] = {}
  if any(gold):
    documents = document_rows(corpus())
    titles = {name: corpus().titles[documents.of(name)[-1]].decode()
              for name in set(gold) if name and name in documents}
  return [titles.get(passage) or passage or question.question
          for passage, question in zip(gold, questions)]
