"""`realm parity`: our numbers beside those of a reference."""

import json
import math

from realm_tf.evaluation import parity
from realm_tf.files import PathLike


def _finite(value: float | None) -> float | str | None:
  """JSON has no NaN and no infinity: those are words."""
  return value if value is None or math.isfinite(value) else str(value)


def check(reference: PathLike, dtype: str, as_json: bool) -> bool:
  """Prints one line per quantity, or one JSON object; whether all of them agree."""
  compared = parity.compare(reference, dtype)
  agrees = all(one.holds for one in compared)
  if as_json:
    print(json.dumps({
        "reference": str(reference), "dtype": dtype, "tolerance": parity.TOLERANCE,
        "agrees": agrees, "quantities": [
            {"quantity": one.quantity, "part": one.part, "agrees": one.holds,
             "difference": _finite(one.difference), "largest": _finite(one.largest)}
            for one in compared]}, indent=2))
    return agrees
  for one in compared:
    found = ("not in this reference" if one.difference is None else
             f"{one.difference:.3g}{'' if one.holds else f'  above {parity.TOLERANCE:g}'}")
    print(f"{one.part:9s} {one.quantity:46s} {found}")
  return agrees
