"""Whether exports answer as the model in memory, and how many questions ScaNN's does not.

    python benchmarks/exports.py --workdir=runs/demo --questions=q.jsonl --json=exports.json

Exports the newest model of a run in each flavour to a temporary folder, and asks each the
same questions, those of a file or of the run, the first 500. `same answers` counts
those whose answer is the same text in the same passage; `probabilities` and `embeddings` are
the largest differences, `passages` the share of the read ones that are found. Where questions
come with their answers, exact match and F1 are told, in percent, and with a 95 % interval how
much better or worse than the model's they are.
"""

import json
import tempfile

import numpy as np
from absl import app, flags
from machine import processor

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_QUESTIONS = flags.DEFINE_string("questions", None, "JSONL; else the run's held-out ones.")
_MOST = flags.DEFINE_integer("most", 500, "How many are asked.")
_FLAVOURS = flags.DEFINE_list("flavours", ["portable", "native", "native int8", "scann"],
                              "Which to make; a precision may stand behind one.")
_JSON = flags.DEFINE_string("json", None, "File for the results.")

_BATCH = 50
_DRAWS = 2000  # of the bootstrap


def _asked(model, questions: list[str], k: int) -> dict[str, list]:
  """Of a loaded export."""
  outputs: dict[str, list] = {"answers": [], "rows": [], "embeddings": []}
  for first in range(0, len(questions), _BATCH):
    part = questions[first:first + _BATCH]
    outputs["answers"] += [(answer["answer"], answer["row"], answer["probability"])
                           for answer in model.answer(part)]
    outputs["rows"] += [{passage["row"] for passage in passages}
                        for passages in model.retrieve(part, k)]
    outputs["embeddings"] += list(model.embed(part))
  return outputs


def _live(answerer, questions: list[str], k: int) -> dict[str, list]:
  """Of the model in memory."""
  import tensorflow as tf  # pylint: disable=import-outside-toplevel
  outputs: dict[str, list] = {"answers": [], "rows": [], "embeddings": []}
  for first in range(0, len(questions), _BATCH):
    part = tf.constant(questions[first:first + _BATCH])
    answers = answerer.answer(part)
    outputs["answers"] += zip(
        (text.decode() for text in answers.answer.numpy()), answers.row.numpy().tolist(),
        answers.probability.numpy().tolist())
    outputs["rows"] += map(set, answerer.retrieve(part, k).row.numpy().tolist())
    outputs["embeddings"] += list(answerer.embed(part).numpy())
  return outputs


def _compared(live: dict[str, list], exported: dict[str, list]) -> dict[str, float]:
  pairs = list(zip(live["answers"], exported["answers"], strict=True))
  return {
      "same answers": sum(answer[:2] == other[:2] for answer, other in pairs),
      "probabilities": max(abs(answer[2] - other[2]) for answer, other in pairs),
      "embeddings": float(np.abs(np.array(live["embeddings"])
                                 - np.array(exported["embeddings"])).max()),
      "passages": float(np.mean([len(answer & other) / len(answer) for answer, other in zip(
          live["rows"], exported["rows"], strict=True)]))}


def _scores(outputs: dict[str, list], questions: list) -> np.ndarray:
  """[Q, 2]: exact match and F1 of each answer, in percent."""
  from realm_tf.evaluation import metrics  # pylint: disable=import-outside-toplevel
  return 100 * np.array([
      [measure(answer[0], question.answers, question.regex)
       for measure in (metrics.exact_match, metrics.f1)]
      for answer, question in zip(outputs["answers"], questions, strict=True)], float)


def _worth(scores: np.ndarray, live: np.ndarray) -> dict[str, list[float]]:
  """Mean, and the bootstrap's interval of the difference from the live model's."""
  draws = np.random.default_rng(0).integers(len(live), size=[_DRAWS, len(live)])
  found = {}
  for column, name in enumerate(("exact_match", "f1")):
    difference = (scores - live)[:, column]
    interval = np.percentile(difference[draws].mean(1), [2.5, 97.5])
    found[name] = [round(float(value), 2) for value in
                   (scores[:, column].mean(), difference.mean(), *interval)]
  return found


def main(_) -> None:
  import realm_tf  # pylint: disable=import-outside-toplevel
  from realm_tf.config import with_changes  # pylint: disable=import-outside-toplevel
  from realm_tf.datasets.questions import read_questions  # pylint: disable=import-outside-toplevel
  from realm_tf.run.export import export_run  # pylint: disable=import-outside-toplevel
  from realm_tf.run.folder import Run  # pylint: disable=import-outside-toplevel
  run = Run.existing(_WORKDIR.value)
  config = run.config
  all_questions = (read_questions(_QUESTIONS.value, answered=False) if _QUESTIONS.value
                   else run.questions("held_out"))
  chosen = all_questions[:_MOST.value]
  questions = [question.question for question in chosen]
  answerer = run.answerer(run.newest_stage(), exact=True)
  live = _live(answerer, questions, answerer.read_blocks)
  results: dict[str, object] = {"processor": processor(), "questions": len(questions),
                                "blocks": answerer.num_blocks}
  scores = _scores(live, chosen) if all(question.answers for question in chosen) else None
  if scores is not None:
    results["model"] = dict(zip(("exact_match", "f1"), scores.mean(0).round(2).tolist()))
    print("model", json.dumps(results["model"]), flush=True)
  with tempfile.TemporaryDirectory() as folder:
    for flavour in _FLAVOURS.value:
      kind, _, precision = flavour.partition(" ")
      run.config = with_changes(config, {"export.precision": precision})
      model = realm_tf.load(export_run(run, kind, f"{folder}/{flavour}"))
      asked = _asked(model, questions, answerer.read_blocks)
      results[flavour] = _compared(live, asked)
      if scores is not None:
        results[flavour] |= _worth(_scores(asked, chosen), scores)
      print(flavour, json.dumps(results[flavour]), flush=True)
  if _JSON.value:
    with open(_JSON.value, "w", encoding="utf-8") as file:
      json.dump(results, file, indent=2)


if __name__ == "__main__":
  app.run(main)
