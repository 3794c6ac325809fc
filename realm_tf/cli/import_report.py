"""What became of every tensor of an import, for people or programs."""

import dataclasses
import json

from realm_tf.exchange.importing import ImportReport
from realm_tf.files import PathLike


def print_report(report: ImportReport, output: PathLike, as_json: bool) -> None:
  """Prints it; `output` is the folder that was written."""
  if as_json:
    print(json.dumps({"output": str(output), **dataclasses.asdict(report)}, indent=2))
    return
  for title, names in (("used", report.used), ("kept, without effect", report.kept)):
    print(f"{title}: {len(names)}")
    for ours, theirs in sorted(names.items()):
      print(f"  {theirs}" if ours == theirs else f"  {theirs} -> {ours}")
  print(f"skipped: {len(report.skipped)}")
  for theirs, reason in sorted(report.skipped.items()):
    print(f"  {theirs}: {reason}")
  print(f"{report.kind}: {len(report.used)} tensors used, {len(report.kept)} kept, "
        f"{len(report.skipped)} skipped, see {output}")
