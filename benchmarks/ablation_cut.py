"""A cut of a folder of documents and questions, for `ablations.py` on few processors.

    python benchmarks/ablation_cut.py --data=FOLDER --output=cut

Draws questions by a seed, keeps their passages and as many others, in the files of FOLDER:
corpus.jsonl.gz, qa.train.jsonl.gz and qa.dev.jsonl.gz. Fewer passages make retrieval easier,
so figures of a cut are comparable with each other alone.
"""

import gzip
import json
import pathlib
import random

from absl import app, flags

_DATA = flags.DEFINE_string("data", None, "What is cut.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The folder of the cut.", required=True)
_PASSAGES = flags.DEFINE_integer("passages", 3000, "At least the passages of the questions.")
_QUESTIONS = flags.DEFINE_integer("questions", 1024, "To train on.")
_DEV = flags.DEFINE_integer("dev", 300, "To measure by.")


def _read(name: str) -> list[dict]:
  with gzip.open(pathlib.Path(_DATA.value) / name, "rt", encoding="utf-8") as file:
    return [json.loads(line) for line in file]


def _write(name: str, rows: list[dict]) -> None:
  with gzip.open(pathlib.Path(_OUTPUT.value) / name, "wt", encoding="utf-8") as file:
    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main(_) -> None:
  draw = random.Random(0)
  pathlib.Path(_OUTPUT.value).mkdir(parents=True, exist_ok=True)
  chosen = set()
  for name, count in (("qa.train.jsonl.gz", _QUESTIONS.value),
                      ("qa.dev.jsonl.gz", _DEV.value)):
    rows = _read(name)
    drawn = [rows[i] for i in sorted(draw.sample(range(len(rows)), min(count, len(rows))))]
    chosen |= {row["gold_passage"] for row in drawn}
    _write(name, drawn)
  passages = _read("corpus.jsonl.gz")
  rest = [row["id"] for row in passages if row["id"] not in chosen]
  chosen |= set(draw.sample(rest, max(0, min(len(rest), _PASSAGES.value - len(chosen)))))
  _write("corpus.jsonl.gz", [row for row in passages if row["id"] in chosen])
  print(f"{len(chosen)} passages")


if __name__ == "__main__":
  app.run(main)
