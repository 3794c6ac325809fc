"""`realm import` and `realm export-weights`: to and from published checkpoints."""

import dataclasses
import json
import pathlib
from typing import Sequence

import numpy as np

from realm_tf import folders
from realm_tf.cli.run_folder import RunFolder
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models import exchange, export_weights
from realm_tf.models.exchange import Account
from realm_tf.models.realm import Realm


def import_folder(sources: Sequence[PathLike], output: PathLike, kind: str | None,
                  sizes: PathLike | None, vocabulary: PathLike | None, as_json: bool) -> None:
  """Imports, and says what became of every tensor."""
  tell(exchange.import_weights(sources, output, kind=kind, sizes=sizes,
                               vocabulary=vocabulary), output, as_json)


def tell(account: Account, output: PathLike, as_json: bool) -> None:
  """Prints what became of every tensor."""
  if as_json:
    print(json.dumps({"output": str(output), **dataclasses.asdict(account)}, indent=2))
    return
  for title, names in (("used", account.used), ("kept, without effect", account.kept)):
    print(f"{title}: {len(names)}")
    for here, there in sorted(names.items()):
      print(f"  {there}" if here == there else f"  {there} -> {here}")
  print(f"skipped: {len(account.skipped)}")
  for there, why in sorted(account.skipped.items()):
    print(f"  {there}: {why}")
  print(f"{account.kind}: {len(account.used)} tensors used, {len(account.kept)} kept, "
        f"{len(account.skipped)} skipped, see {output}")


def export_run(run: RunFolder, stage: str, kind: str | None, output: PathLike) -> None:
  """Writes one part of a stage's model, or a folder with all of them: whole or none."""
  if kind and kind not in export_weights.KINDS:
    raise UserError(f"--kind: expected one of {', '.join(export_weights.KINDS)}, "
                    f"got '{kind}'")
  with folders.new_folder(output) as new:
    model = run.model(stage)
    said = []
    for one in [kind] if kind else export_weights.kinds_of(model):
      reason = None if kind else export_weights.obstacle(model, one)
      if reason:
        said.append(f"{one}: left out: {reason}")
        continue
      folder = new if kind else new / one
      folder.mkdir(exist_ok=True)
      _write(run, model, one, folder)
      said.append(f"{one}: {output if kind else pathlib.Path(output) / one}")
  print("\n".join(said))


def _write(run: RunFolder, model: Realm, kind: str, folder: pathlib.Path) -> None:
  embeddings = None
  if kind == "openqa" and not export_weights.obstacle(model, kind):
    # Of the blocks that are not deleted.
    embeddings = run.embeddings(model, run.corpus.stored_rows).astype(np.float32)
  config, values = export_weights.contents(model, kind, embeddings)
  exchange.fill_folder(folder, config, values, run.path / "corpus" / "vocab.txt")
