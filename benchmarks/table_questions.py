"""What questions made of tables (`cloze.table_share`) teach a reader about tables.

    python benchmarks/table_questions.py --data=FOLDER --workdir=runs/table_questions

FOLDER holds wiki26k's corpus.jsonl.gz, of which passages are drawn. They and the six tables
of `closed_lines.py` are the documents of two runs by the recipe for own documents, without a
question of people: one learns from sentences alone, one from cells of the tables too. Both
answer the 97 questions about the tables. One JSON object is printed: figures in percent, and
the differences with the 95 % interval of a paired bootstrap over the questions. With
--layout=fields the tables are lines of "key: value".
"""

import gzip
import json
import pathlib
import random

import closed_lines
from absl import app, flags
from machine import processor

from realm_tf.config.config_files import read_folder
from realm_tf.evaluation import compare, figures
from realm_tf.run import search, stages
from realm_tf.run.begin import begin
from realm_tf.run.folder import Run
from realm_tf.run.scoring import scored

_DATA = flags.DEFINE_string("data", None, "Folder of the corpus.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "data", "Folder of the weights that are fetched.")
_PASSAGES = flags.DEFINE_integer("passages", 60, "Of the corpus, beside the tables.")
_LAYOUT = flags.DEFINE_enum("layout", "table", ["table", "fields"], "Of the six tables.")
_STOPS = flags.DEFINE_bool("stops", True, "A full stop after each line, as readers have it.")
_STEPS = flags.DEFINE_integer("steps", 150, "Of `cloze`, at most.")
_SEED = flags.DEFINE_integer("seed", 1, "Of the draw, and of training.")


def _documents() -> pathlib.Path:
  path = pathlib.Path(flags.FLAGS.workdir) / "documents.jsonl"
  if not path.exists():
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(pathlib.Path(_DATA.value, "corpus.jsonl.gz"), "rt") as file:
      passages = random.Random(_SEED.value).sample(list(file), _PASSAGES.value)
    path.write_text("".join([*passages, *(json.dumps(table) + "\n" for table in
                                          closed_lines.documents(
                                              _LAYOUT.value, _STOPS.value))]))
  return path


def _answered(questions: list, share: float) -> figures.Columns:
  folder = pathlib.Path(flags.FLAGS.workdir) / ("cells" if share else "sentences")
  if not folder.exists():
    begin(folder, str(_documents()), changes={
        "data": _WEIGHTS.value, "seed": _SEED.value, "cloze.steps": _STEPS.value,
        "cloze.table_share": share})
  run = Run(read_folder(folder), folder)
  search.make_corpus_if_missing(run)
  if not run.is_done("cloze"):
    stages.cloze(run)
  _, records = scored(run, run.answerer("cloze"), questions, reads=True)
  return figures.per_question(questions, records, (1,), None)


def main(_) -> None:
  questions = list(closed_lines.questions())
  before, now = (_answered(questions, share) for share in (0.0, 1 / 3))
  print(json.dumps({
      "machine": processor(), "passages": _PASSAGES.value, "steps": _STEPS.value,
      "seed": _SEED.value, "layout": _LAYOUT.value, "stops": _STOPS.value,
      "questions": len(questions),
      **closed_lines.shown(compare.compare(before, now))}, indent=1))


if __name__ == "__main__":
  app.run(main)
