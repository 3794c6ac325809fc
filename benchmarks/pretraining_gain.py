"""What pre-training is worth once fine-tuned: REALM against ORQA, on a finished run.

    realm run --config=configs/pretraining.py --workdir=runs/pretraining
    python benchmarks/pretraining_gain.py --workdir=runs/pretraining --json=gain.json

Fine-tunes once more from the ICT stage of the same run (that is ORQA, Lee et al. 2019)
with the same settings and questions, and compares the predictions question by question.
"""

import dataclasses
import json
import pathlib
import shutil

from absl import app, flags

from realm_tf.evaluation import metrics
from realm_tf.files import new_file
from realm_tf.run import stages
from realm_tf.run.folder import Run

_WORKDIR = flags.DEFINE_string("workdir", None, "A finished run.", required=True)
_JSON = flags.DEFINE_string("json", None, "Where to write the numbers.")


def _without_pretraining(run: Run) -> Run:
  """A copy of the run that goes from ICT to fine-tuning; kept beside the run."""
  folder = run.path.with_name(f"{run.path.name}-without-pretraining")
  for part in ("corpus", "questions", "ict", "index"):
    if (run.path / part).exists() and not (folder / part).exists():
      shutil.copytree(run.path / part, folder / part)
  other = Run(dataclasses.replace(run.config, name=f"{run.config.name}-orqa"), folder)
  if not other.is_done("finetune"):
    stages.finetune(other)
  stages.evaluate(other, "finetune")
  return other


def _hits(run: Run) -> dict[str, list[float]]:
  """Per question: recall@5 and exact match."""
  path = run.path / "evaluation" / "finetune.predictions.jsonl"
  records = [json.loads(line) for line in path.open(encoding="utf-8")]
  return {
      "recall@5": [float(any(metrics.has_answer(passage["text"], record["answers"])
                             for passage in record["passages"][:5])) for record in records],
      "exact_match": [float(metrics.exact_match(record["prediction"], record["answers"]))
                      for record in records]}


def main(_) -> None:
  run = Run.existing(pathlib.Path(_WORKDIR.value))
  with_pretraining, without_pretraining = _hits(run), _hits(_without_pretraining(run))
  result = {}
  print(f"{'':12s} {'without':>8s} {'with':>8s} {'difference and its 95 % interval':>36s}")
  for name, values in with_pretraining.items():
    difference = [a - b for a, b in zip(values, without_pretraining[name], strict=True)]
    low, high = metrics.interval(difference, seed=0)
    mean = sum(difference) / len(difference)
    result[name] = {"without": sum(without_pretraining[name]) / len(difference),
                    "with": sum(values) / len(difference), "difference": mean,
                    "low": low, "high": high, "questions": len(difference)}
    print(f"{name:12s} {result[name]['without']:8.1%} {result[name]['with']:8.1%} "
          f"{mean:+15.1%}  [{low:+.1%}, {high:+.1%}]")
  if _JSON.value:
    with new_file(_JSON.value, "w") as file:
      json.dump(result, file, indent=2)


if __name__ == "__main__":
  app.run(main)
