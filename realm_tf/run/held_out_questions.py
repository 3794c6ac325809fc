"""The questions of a run, once they are known to be about its corpus."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import checks
from realm_tf.run.folder import Run


def checked_questions(run: Run, part: str = "held_out") -> list[Question]:
  """Those of `part`, "train" or "held_out".

  Raises:
    UserError: a gold passage is no document of the corpus, or no answer stands in it.
  """
  questions, corpus = run.questions(part), run.corpus
  checks.check_gold_passages(questions, corpus.document_ids)
  section = {"train": "finetune", "held_out": "evaluate"}.get(part, part)
  if questions:
    checks.check_answerable(questions, corpus.texts, f"config.{section}.questions")
  return questions


def measured(run: Run, questions: Sequence[Question]) -> dict[str, str]:
  """What figures are of, kept with them: the corpus and the questions, as hashes."""
  fields = [[question.id, question.question, question.answers, question.regex,
             question.gold_passage, question.source] for question in questions]
  digest = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
  return {"corpus": run.corpus.hash[:16], "questions_hash": digest[:16]}


def same_measure(figures: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
  """Whether figures are of the same corpus and questions as others."""
  return all(figures.get(name) == others.get(name) for name in ("corpus", "questions_hash"))
