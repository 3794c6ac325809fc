"""What the recipe for own documents (`realm init`) makes of small corpora and few questions.

    python benchmarks/corpus_sizes.py --data=FOLDER --workdir=OUT --documents=300
        --questions=40 --held_out=200

FOLDER holds corpus.jsonl.gz, qa.train.jsonl.gz and qa.dev.jsonl.gz, whose questions name the
passage that answers them. A corpus is drawn: the passages of the questions, and others. Each
seed draws another, and trains by it; with --questions=0 it learns from the documents alone,
with --reader=RUN its reader starts as that of another run, as by `realm init --reader`. A run
that is there is gone on with. One JSON object is printed: the figures of each stage and
seed, in percent.
"""

import functools
import gzip
import json
import pathlib
import random

from absl import app, flags
from machine import processor

from realm_tf import files
from realm_tf.config.config_files import OF_PEOPLE, read_folder
from realm_tf.run.begin import begin
from realm_tf.run.carried import begin_reading
from realm_tf.run.folder import STAGES, WARM_START, Run
from realm_tf.run.pipeline import whole_run
from realm_tf.run.worth import stage_rows

_DATA = flags.DEFINE_string("data", None, "Folder of corpus and questions.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where runs are made.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", "data", "Folder of the weights that are fetched.")
_DOCUMENTS = flags.DEFINE_integer("documents", 300, "In the corpus.")
_QUESTIONS = flags.DEFINE_integer("questions", 40, "To train on.")
_HELD_OUT = flags.DEFINE_integer("held_out", 200, "Questions to measure by, at most.")
_READER = flags.DEFINE_string("reader", None, "A run, such as the demo's.")
_SEEDS = flags.DEFINE_list("seeds", ["1"], "Of the draw, and of training.")
_FIGURES = ("recall@1_by_gold", "recall@5_by_gold", "exact_match", "f1")


def _read(name: str) -> list[dict]:
  with gzip.open(pathlib.Path(_DATA.value, name), "rt", encoding="utf-8") as file:
    return [json.loads(line) for line in file]


def _draw(seed: int, folder: pathlib.Path) -> dict[str, str]:
  """Writes documents and questions, once; returns their paths."""
  parts = ("documents", "questions", "eval_questions")
  paths = {part: folder / f"{part}.jsonl" for part in parts}
  if not all(path.exists() for path in paths.values()):
    rng = random.Random(seed)
    train, held_out = (
        rng.sample([q for q in _read(name) if q.get("gold_passage")], count)
        for name, count in (("qa.train.jsonl.gz", _QUESTIONS.value),
                            ("qa.dev.jsonl.gz", _HELD_OUT.value)))
    wanted = {question["gold_passage"] for question in train + held_out}
    all_documents = _read("corpus.jsonl.gz")
    others = [document["id"] for document in all_documents if document["id"] not in wanted]
    wanted |= set(rng.sample(others, max(0, _DOCUMENTS.value - len(wanted))))
    documents = [document for document in all_documents if document["id"] in wanted]
    for path, rows in zip(paths.values(), (documents, train, held_out)):
      with files.new_file(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
  return {part: str(path.resolve()) for part, path in paths.items()}


def _figures(seed: int) -> dict[str, dict[str, float]]:
  folder = pathlib.Path(
      _WORKDIR.value, f"{_DOCUMENTS.value}-{_QUESTIONS.value}-{seed}").resolve()
  folder.mkdir(parents=True, exist_ok=True)
  drawn = _draw(seed, folder)
  place = folder / ("run with a reader" if _READER.value else "run")
  if not (place / OF_PEOPLE).exists():
    if not _QUESTIONS.value:
      del drawn["questions"]
    start = functools.partial(begin_reading, _READER.value) if _READER.value else begin
    start(place, **drawn, changes={"data": _WEIGHTS.value, "seed": seed})
  run = Run(read_folder(place), place)
  whole_run(run)
  return {row.name: {name: round(100 * row.figures[name], 1) for name in _FIGURES
                     if name in row.figures}
          | ({"minutes": round(row.minutes, 1)} if row.minutes else {})
          for row in stage_rows(run)}


def main(_) -> None:
  by_seed = {seed: _figures(int(seed)) for seed in _SEEDS.value}
  print(json.dumps({
      "documents": _DOCUMENTS.value, "questions": _QUESTIONS.value,
      "held_out": _HELD_OUT.value, "machine": processor(),
      **({"reader": pathlib.Path(_READER.value).name} if _READER.value else {}),
      "stages": [name for name in ("BM25", WARM_START, *STAGES)
                 if any(name in rows for rows in by_seed.values())],
      "seeds": by_seed}, indent=1))


if __name__ == "__main__":
  app.run(main)
