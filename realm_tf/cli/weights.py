"""`realm import` and `realm export-weights`: to and from published checkpoints."""

import dataclasses
import json
import pathlib
from typing import Sequence

import numpy as np

from realm_tf.cli.run_folder import RunFolder
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models import exchange, export_weights
from realm_tf.models.exchange import ImportReport
from realm_tf.models.realm import Realm


def import_folder(sources: Sequence[PathLike], output: PathLike, kind: str | None,
                  sizes: PathLike | None, vocabulary: PathLike | None, as_json: bool) -> None:
  """Imports, and says what became of every tensor."""
  report = exchange.import_weights(sources, output, kind=kind, sizes=sizes,
                                   vocabulary=vocabulary)
  print_report(report, output, as_json)


def print_report(report: ImportReport, output: PathLike, as_json: bool) -> None:
  """Prints what became of every tensor."""
  if as_json:
    print(json.dumps({"output": str(output), **dataclasses.asdict(report)}, indent=2))
    return
  for title, names in (("used", report.used), ("kept, without effect", report.kept)):
    print(f"{title}: {len(names)}")
    for name, source_name in sorted(names.items()):
      print(f"  {source_name}" if name == source_name else f"  {source_name} -> {name}")
  print(f"skipped: {len(report.skipped)}")
  for source_name, why in sorted(report.skipped.items()):
    print(f"  {source_name}: {why}")
  print(f"{report.kind}: {len(report.used)} tensors used, {len(report.kept)} kept, "
        f"{len(report.skipped)} skipped, see {output}")


def export_run(run: RunFolder, stage: str, kind: str | None, output: PathLike) -> None:
  """Writes one part of a stage's model, or a folder with all of them."""
  if kind and kind not in export_weights.KINDS:
    raise UserError(f"--kind: expected one of {', '.join(export_weights.KINDS)}, "
                    f"got '{kind}'")
  model = run.model(stage)
  kinds = [kind] if kind else export_weights.kinds_of(model)
  for one in kinds:
    folder = pathlib.Path(output) if kind else pathlib.Path(output) / one
    reason = export_weights.obstacle(model, one)
    if reason and not kind:
      print(f"{one}: left out: {reason}")
      continue
    export_weights.export_weights(
        model, one, folder, vocabulary=run.path / "corpus" / "vocab.txt",
        block_emb=_embeddings(run, model) if one == "openqa" and not reason else None)
    print(f"{one}: {folder}")


def _embeddings(run: RunFolder, model: Realm) -> np.ndarray:
  """[N, D] float32 of the blocks that are not deleted."""
  return run.stored_index(model).read(run.corpus.stored_rows).astype(np.float32)
