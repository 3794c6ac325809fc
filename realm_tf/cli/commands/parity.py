"""`realm parity`: our numbers beside those of a reference."""

import json
import math
from typing import Sequence

from absl import flags

from realm_tf.cli.opening import FLAGS, check_there, no_more
from realm_tf.errors import UserError

SUMMARY = ("Compare our models with a reference of the published system, number by number; "
           "exit code 1 above a difference of 1e-4.")
EXAMPLE = "realm parity --reference=tests/reference --json"


def define_flags() -> None:
  flags.DEFINE_string("reference", None, "Folder with io.npz and the models embedder, "
                      "scorer, encoder, reader.")
  flags.DEFINE_enum("dtype", "float64", ["float64", "float32"], "In which our models "
                    "compute: float64 leaves the rounding to the reference.")
  flags.DEFINE_bool("json", False, "Print one JSON object.")


def run(arguments: Sequence[str]) -> int:
  no_more(arguments)
  if not FLAGS.reference:
    raise UserError("--reference: name the folder with io.npz and the models")
  check_there("reference", "a folder with io.npz and the models")
  from realm_tf.evaluation.reference_parity import TOLERANCE, compare_with_reference
  compared = compare_with_reference(FLAGS.reference, FLAGS.dtype)
  agrees = all(quantity.holds for quantity in compared)
  if FLAGS.json:
    print(json.dumps({
        "reference": FLAGS.reference, "dtype": FLAGS.dtype, "tolerance": TOLERANCE,
        "agrees": agrees, "quantities": [
            {"quantity": quantity.quantity, "part": quantity.part, "agrees": quantity.holds,
             "difference": _finite(quantity.difference), "largest": _finite(quantity.largest)}
            for quantity in compared]}, indent=2))
  else:
    for quantity in compared:
      print(f"{quantity.part:9s} {quantity.quantity:46s} "
            f"{_in_words(quantity.difference, quantity.holds, TOLERANCE)}")
  return 0 if agrees else 1


def _in_words(difference: float | None, holds: bool, tolerance: float) -> str:
  if difference is None:
    return "not in this reference"
  return f"{difference:.3g}{'' if holds else f'  above {tolerance:g}'}"


def _finite(value: float | None) -> float | str | None:
  """JSON has no NaN and no infinity: those are words."""
  return value if value is None or math.isfinite(value) else str(value)
