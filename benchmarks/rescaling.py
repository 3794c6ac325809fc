"""What slope and offset do to the probabilities of answers: calibration error and log loss.

    python benchmarks/rescaling.py short=runs/short demo=runs/demo --json=rescaling.json

Of each run the newest evaluation's answers, whose probabilities were not rescaled yet (a
calibration of before, or none). The questions are drawn apart again and again: to the answers
that were given to some `confidence.platt` is fitted, and the rest says what it is worth, of
the answers that were given and of those that were listed beside them. Shape letters: Q
questions, A answers that are listed, the one that is given first.
"""

import pathlib

import numpy as np
from absl import app, flags
from machine import report

from realm_tf.errors import UserError
from realm_tf.evaluation import confidence, predictions
from realm_tf.evaluation.calibration import read_calibration
from realm_tf.evaluation.mistake_kinds import is_right
from realm_tf.run.comparing import named_predictions

_SIZES = flags.DEFINE_list("sizes", ["100", "200", "500"], "Answers to fit to.")
_DRAWINGS = flags.DEFINE_integer("drawings", 200, "Of each number.")
_JSON = flags.DEFINE_string("json", None, "Where to write the figures.")
_LEAST = 50  # answers to measure by


def _answers(run: str) -> tuple[np.ndarray, np.ndarray]:
  """Probabilities, nan where there are no more, and whether the answers are right: [Q, A]."""
  calibration = pathlib.Path(run, "evaluation", "calibration.json")
  if calibration.exists() and read_calibration(calibration).rescales:
    raise UserError(f"{run}: its probabilities are rescaled already")
  path = named_predictions(run, None)
  records = predictions.read_predictions(path)
  p = np.full([len(records), max(len(record["predictions"]) for record in records)], np.nan)
  right = np.zeros(p.shape, bool)
  for i, (question, record) in enumerate(zip(predictions.questions_of(path, records), records,
                                             strict=True)):
    for j, answer in enumerate(record["predictions"]):
      p[i, j], right[i, j] = answer["probability"], is_right(question, answer["answer"])
  return p, right


def _log_loss(p: np.ndarray, right: np.ndarray) -> float:
  p = np.clip(p, 1e-7, 1 - 1e-7)
  return float(-np.log(np.where(right, p, 1 - p)).mean())


def _measured(p: np.ndarray, right: np.ndarray, size: int) -> dict[str, float]:
  """Means over drawings, and in what share of them the log loss fell."""
  rng, rows = np.random.default_rng(0), []
  for _ in range(_DRAWINGS.value):
    order = rng.permutation(len(p))
    fitted, rest = order[:size], order[size:]
    told = confidence.rescaled(p[rest], *confidence.platt(p[fitted, 0], right[fitted, 0]))
    listed = ~np.isnan(p[rest])
    row = {}
    for when, values in (("_before", p[rest]), ("", told)):
      for name, places in (("", slice(1)), ("_of_others", slice(1, None))):
        chosen = values[:, places][listed[:, places]], right[rest, places][listed[:, places]]
        row[f"error{name}{when}"] = confidence.expected_calibration_error(*chosen)
        row[f"log_loss{name}{when}"] = _log_loss(*chosen)
    rows.append(row | {"lower_log_loss": row["log_loss"] < row["log_loss_before"]})
  return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}


def main(arguments: list[str]) -> None:
  rows = {}
  for name, run in (argument.split("=", 1) for argument in arguments[1:]):
    p, right = _answers(run)
    rows[name] = {"answers": len(p), "right": round(float(right[:, 0].mean()), 3),
                  "probability": round(float(p[:, 0].mean()), 3), "fitted_to": {
                      size: _measured(p, right, int(size)) for size in _SIZES.value
                      if len(p) - int(size) >= _LEAST}}
  report({"drawings": _DRAWINGS.value, "rows": rows}, _JSON.value)


if __name__ == "__main__":
  app.run(main)
