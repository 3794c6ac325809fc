"""Searching a run from the command line, and what is shown where nothing can be read yet."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from realm_tf.corpus.manifest import MANIFEST
from realm_tf.datasets.questions import check_questions
from realm_tf.report.answers import passages_in_words
from realm_tf.run import stages
from realm_tf.run.folder import Run
from realm_tf.run.retrieval import retrieve_passages


def make_corpus_if_missing(run: Run) -> None:
  """Reads the documents, where no command has done that yet."""
  if not (run.path / "corpus" / MANIFEST).exists():
    stages.corpus(run)


def search_by_run(run: Run, k: int, as_json: bool) -> Callable[[Sequence[str]], None]:
  """Prints the k best passages for questions; makes corpus and index on first use."""
  make_corpus_if_missing(run)
  answerer = run.answerer(run.newest_stage())

  def tell(questions: Sequence[str]) -> None:
    check_questions(questions)
    show(questions, retrieve_passages(answerer, questions, k), as_json)
  return tell


def show(questions: Sequence[str], retrieved: Sequence[Sequence[dict[str, Any]]],
         as_json: bool, **facts: Any) -> None:
  """Prints the passages of each question; as JSON an object of each, with these facts."""
  for question, passages in zip(questions, retrieved, strict=True):
    print(json.dumps({"question": question, **facts, "passages": passages},
                     ensure_ascii=False) if as_json
          else passages_in_words(question, passages))
