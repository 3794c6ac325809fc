"""What it is worth that a table which is cut goes on below its header.

    python benchmarks/long_tables.py --data=FOLDER --workdir=runs/long_tables

A staff list of 72 rows, longer than a block, stands among passages of wiki26k (FOLDER holds
its corpus.jsonl.gz): once as it is, and once in parts of which only the first has the header,
as blocks were before. Both are the documents of a run by the recipe for own documents,
without a question of people, and both answer the same questions. One JSON object is printed:
figures in percent, and the differences with the 95 % interval of a paired bootstrap over the
questions.
"""

import gzip
import json
import pathlib
import random

import closed_lines
from absl import app, flags
from machine import processor

from realm_tf.config.config_files import read_folder
from realm_tf.datasets.questions import Question
from realm_tf.evaluation import compare, figures
from realm_tf.run import search, stages
from realm_tf.run.begin import begin
from realm_tf.run.folder import Run
from realm_tf.run.scoring import scored

_DATA = flags.DEFINE_string("data", None, "Folder of the corpus.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "data", "Folder of the weights that are fetched.")
_PASSAGES = flags.DEFINE_integer("passages", 60, "Of the corpus, beside the table.")
_QUESTIONS = flags.DEFINE_integer("questions", 120, "Of the table.")
_STEPS = flags.DEFINE_integer("steps", 150, "Of `cloze`, at most.")
_SEED = flags.DEFINE_integer("seed", 1, "Of the draw, and of training.")
_TITLE = "Staff of the harbour office"
_HEADER = ("Name", "Department", "Room", "Extension", "Started")
_ASKED = ("Which department is {} in?", "What is the room of {}?",
          "What is the extension of {}?", "In what year did {} start?")
_GIVEN = ("Anna", "Boris", "Clara", "David", "Elena", "Frank", "Greta", "Hassan", "Irene",
          "Jonas", "Karin", "Louis", "Marta", "Nils", "Olga", "Peter", "Rosa", "Stefan",
          "Teresa", "Viktor")
_FAMILY = ("Adler", "Brandt", "Costa", "Dumont", "Eriksen", "Fischer", "Garcia", "Hansen",
           "Ivanov", "Jensen", "Keller", "Lindberg", "Moreau", "Novak", "Olsen", "Petrov",
           "Rossi", "Santos", "Turner", "Weber")
_DEPARTMENTS = ("Pilots", "Customs", "Cranes", "Dredging", "Finance", "Personnel", "Security",
                "Tugs", "Warehouses", "Legal affairs", "Environment", "Passenger terminal")


def _rows(rng: random.Random) -> list[tuple[str, ...]]:
  names = rng.sample([f"{one} {two}" for one in _GIVEN for two in _FAMILY], 72)
  return [(name, rng.choice(_DEPARTMENTS), f"{rng.choice('ABCD')} {rng.randint(100, 399)}",
           str(rng.randint(2000, 4999)), str(rng.randint(1988, 2024))) for name in names]


def _text(rows: list[tuple[str, ...]]) -> str:
  return "\n".join(f"{' | '.join(row)}." for row in rows)


def _documents(rows: list[tuple[str, ...]], in_parts: bool) -> list[dict[str, str]]:
  """Parts of as many rows as a block takes, or the whole."""
  size = 15 if in_parts else len(rows)
  parts = [rows[i:i + size] for i in range(0, len(rows), size)]
  parts[0] = [_HEADER, *parts[0]]
  return [{"id": f"staff {i}", "title": _TITLE, "text": _text(part)}
          for i, part in enumerate(parts)]


def _answered(rows: list[tuple[str, ...]], questions: list[Question], in_parts: bool
              ) -> figures.Columns:
  folder = pathlib.Path(flags.FLAGS.workdir) / ("parts" if in_parts else "whole")
  if not folder.exists():
    source = folder.with_suffix(".jsonl")
    source.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(pathlib.Path(_DATA.value, "corpus.jsonl.gz"), "rt") as file:
      passages = random.Random(_SEED.value).sample(list(file), _PASSAGES.value)
    source.write_text("".join([*passages, *(json.dumps(document) + "\n" for document in
                                            _documents(rows, in_parts))]))
    begin(folder, str(source), changes={
        "data": _WEIGHTS.value, "seed": _SEED.value, "cloze.steps": _STEPS.value})
  run = Run(read_folder(folder), folder)
  search.make_corpus_if_missing(run)
  if not run.is_done("cloze"):
    stages.cloze(run)
  _, records = scored(run, run.answerer("cloze"), questions, reads=True)
  return figures.per_question(questions, records, (1,), None)


def main(_) -> None:
  rng = random.Random(_SEED.value)
  rows = _rows(rng)
  questions = [Question(question, question, (row[column],)) for row, column in rng.sample(
      [(row, column) for row in rows for column in range(1, len(_HEADER))], _QUESTIONS.value)
      for question in [_ASKED[column - 1].format(row[0])]]
  before, now = (_answered(rows, questions, in_parts) for in_parts in (True, False))
  print(json.dumps({
      "machine": processor(), "passages": _PASSAGES.value, "rows": len(rows),
      "steps": _STEPS.value, "seed": _SEED.value, "questions": len(questions),
      **closed_lines.shown(compare.compare(before, now))}, indent=1))


if __name__ == "__main__":
  app.run(main)
