"""The questions of a run, once they are known to be about its corpus."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from realm_tf.corpus.store import Corpus
from realm_tf.datasets.questions import Question, read_questions
from realm_tf.evaluation import checks
from realm_tf.run.folder import Run
from realm_tf.run.question_splits import NoneHeldOut


def checked_questions(run: Run, part: str = "held_out") -> list[Question]:
  """Those of `part`, "train" or "held_out".

  Raises:
    UserError: a gold passage is no document of the corpus, or no answer stands in it.
  """
  questions = run.questions(part)
  section = {"train": "finetune", "held_out": "evaluate"}.get(part, part)
  check_about(questions, run.corpus, f"config.{section}.questions")
  return questions


def check_about(questions: Sequence[Question], corpus: Corpus, name: str) -> None:
  """Refuses questions about other documents; `name` is that of the setting or file.

  Raises:
    UserError: a gold passage is no document of the corpus, or no answer stands in it.
  """
  checks.check_gold_passages(questions, corpus.document_ids)
  if questions:
    checks.check_answerable(questions, corpus.texts, name)


def distant_questions(run: Run) -> list[Question]:
  """Further questions to learn to read from, which no part of the run asks.

  Their answers were looked for by a search, not by people (distant supervision): they may
  stand in a block by chance. So no model is judged by them, and no retriever gets their
  blocks as positives.
  """
  path = run.config.finetune.distant_questions
  if not path:
    return []
  parts = [run.questions("train"), run.questions("dev")]
  with contextlib.suppress(NoneHeldOut):
    parts.append(run.questions("held_out"))
  known = {question.question for part in parts for question in part}
  return [question for question in read_questions(path) if question.question not in known]


def measured(run: Run, questions: Sequence[Question]) -> dict[str, str]:
  """What figures are of, kept with them: the corpus and the questions, as hashes."""
  fields = [[question.id, question.question, question.answers, question.regex,
             question.gold_passage, question.source] for question in questions]
  digest = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
  return {"corpus": run.corpus.hash[:16], "questions_hash": digest[:16]}


def same_measure(figures: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
  """Whether figures are of the same corpus and questions as others."""
  return all(figures.get(name) == others.get(name) for name in ("corpus", "questions_hash"))
