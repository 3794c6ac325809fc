"""What a reader answers by how many questions people wrote: 0, 128, 1,024.

    python benchmarks/few_labels.py --data=FOLDER --workdir=OUT --json=few_labels.json

`configs/wiki26k.py:short`, but its retriever is MiniLM with words, as it comes, for every
number: no label has a part in it. The reader learns from questions made of the documents
(`cloze`, once for all numbers), then from so many of the training questions, five passes. Of
stages that are done the figures are read. FOLDER is that of the config.
"""

import gzip
import json
import pathlib
import random
import shutil
import subprocess
import sys

from absl import app, flags
from machine import processor

from realm_tf import files

_DATA = flags.DEFINE_string("data", None, "Folder of corpus and questions.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where runs are made.", required=True)
_LABELS = flags.DEFINE_list("labels", ["0", "128", "1024"], "How many; 0 first.")
_JSON = flags.DEFINE_string("json", "few_labels.json", "For the figures.")
_SETTINGS = {"dpr.steps": 0, "cloze.form": "question", "cloze.steps": 150,
             "cloze.batch_size": 32, "cloze.read_blocks": 2, "cloze.warmup_steps": 20,
             "finetune.retriever_rate": 0.0, "finetune.distill": 0.0,
             "finetune.distant_questions": ""}
_FIGURES = ("recall@1_by_gold", "recall@5_by_gold", "exact_match", "exact_match_low",
            "exact_match_high", "f1", "f1_low", "f1_high")


def _realm(command: str, folder: pathlib.Path, settings: dict, *flags_of_it: str) -> None:
  config = pathlib.Path(__file__).parents[1] / "configs" / "wiki26k.py"
  subprocess.run(
      [sys.executable, "-c", "from realm_tf.cli.start import main; main()", command,
       f"--config={config}:short",
       f"--config.data={pathlib.Path(_DATA.value).resolve()}", f"--workdir={folder}",
       *flags_of_it, *(f"--config.{name}={value}" for name, value in
                       (_SETTINGS | settings).items())], check=True)


def _questions(count: int, path: pathlib.Path) -> pathlib.Path:
  """Fewer of them are among more."""
  if not path.exists():
    with gzip.open(pathlib.Path(_DATA.value, "qa.train.jsonl.gz"), "rt",
                   encoding="utf-8") as file:
      lines = list(file)
    random.Random(0).shuffle(lines)
    with files.new_file(path, "w") as file:
      file.writelines(lines[:count])
  return path


def _figures(out: pathlib.Path, count: int) -> dict[str, float]:
  stage = "finetune" if count else "cloze"
  folder, measured = out / str(count), out / str(count) / "evaluation" / f"{stage}.json"
  if not measured.exists():
    settings: dict = {"finetune.questions": "", "finetune.steps": 0}
    if count:
      if not folder.exists():
        shutil.copytree(out / "0", folder, ignore=shutil.ignore_patterns("evaluation"))
      settings = {"finetune.passes": 5.0, "finetune.questions": _questions(
          count, out / f"{count}.jsonl")}
    else:
      _realm("corpus", folder, settings)
    _realm(stage, folder, settings)
    _realm("evaluate", folder, settings, f"--stage={stage}")
  values = files.read_json(measured)
  return {name: round(100 * values[name], 1) for name in _FIGURES}


def main(_) -> None:
  out = pathlib.Path(_WORKDIR.value).resolve()
  out.mkdir(parents=True, exist_ok=True)
  results = {count: _figures(out, int(count)) for count in _LABELS.value}
  with files.new_file(pathlib.Path(_JSON.value), "w") as file:
    file.write(json.dumps({"machine": processor(), "labels": results}, indent=1) + "\n")
  print(json.dumps(results, indent=1))


if __name__ == "__main__":
  app.run(main)
