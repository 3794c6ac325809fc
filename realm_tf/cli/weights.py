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
from realm_tf.models.exchange import Account
from realm_tf.models.realm import Realm
from realm_tf.text import tokenizer_files


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
    tokenizer_files.write_settings(run.corpus.tokenizer, folder)
    print(f"{one}: {folder}")


def _embeddings(run: RunFolder, model: Realm) -> np.ndarray:
  """[N, D] float32 of the blocks that are not deleted."""
  return run.stored_index(model).read(run.corpus.stored_rows).astype(np.float32)
