"""A few documents among passages of wiki26k, and what a run of them answers.

The run is by the recipe for own documents, without a question of people: `cloze` alone. What
`table_questions.py` and `long_tables.py` have in common.
"""

import gzip
import json
import pathlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags
from machine import processor

from realm_tf.config.config_files import read_folder
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import figures
from realm_tf.run import search, stages
from realm_tf.run.begin import begin
from realm_tf.run.folder import Run
from realm_tf.run.scoring import scored

_DATA = flags.DEFINE_string("data", None, "Folder of the corpus.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "data", "Folder of the weights that are fetched.")
_PASSAGES = flags.DEFINE_integer("passages", 60, "Of the corpus, beside the documents.")
_STEPS = flags.DEFINE_integer("steps", 150, "Of `cloze`, at most.")
SEED = flags.DEFINE_integer("seed", 1, "Of the draw, and of training.")


def answered(name: str, documents: Iterable[Mapping[str, str]], questions: Sequence[Question],
             changes: Mapping[str, Any]) -> figures.Columns:
  """Figures by question of a run in the workdir, which is made where it is not there yet."""
  folder = pathlib.Path(flags.FLAGS.workdir) / name
  if not folder.exists():
    source = folder.with_suffix(".jsonl")
    source.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(pathlib.Path(_DATA.value, "corpus.jsonl.gz"), "rt") as file:
      passages = random.Random(SEED.value).sample(list(file), _PASSAGES.value)
    source.write_text("".join([*passages, *(json.dumps(document) + "\n"
                                            for document in documents)]))
    begin(folder, str(source), changes={
        "data": _WEIGHTS.value, "seed": SEED.value, "cloze.steps": _STEPS.value, **changes})
  run = Run(read_folder(folder), folder)
  search.make_corpus_if_missing(run)
  if not run.is_done("cloze"):
    stages.cloze(run)
  _, records = scored(run, run.answerer("cloze"), questions, reads=True)
  return figures.per_question(questions, records, (1,), None)


def described() -> dict[str, Any]:
  """What is written beside the figures."""
  return {"machine": processor(), "passages": _PASSAGES.value, "steps": _STEPS.value,
          "seed": SEED.value}
