"""`realm parity`: our numbers beside those of a reference."""

import json

from realm_tf.evaluation import parity
from realm_tf.files import PathLike


def check(reference: PathLike, as_json: bool) -> bool:
  """Prints one line per quantity, or one JSON object; whether all of them agree."""
  compared = list(parity.compare(reference))
  agrees = all(one.holds for one in compared)
  if as_json:
    print(json.dumps({
        "reference": str(reference), "tolerance": parity.TOLERANCE, "agrees": agrees,
        "quantities": [
            {"quantity": one.quantity, "part": one.part, "difference": one.difference,
             "largest": one.largest, "agrees": one.holds} for one in compared]}, indent=2))
    return agrees
  for one in compared:
    found = ("not in this reference" if one.difference is None else
             f"{one.difference:.3g}{'' if one.holds else f'  above {parity.TOLERANCE:g}'}")
    print(f"{one.part:9s} {one.quantity:42s} {found}")
  return agrees
