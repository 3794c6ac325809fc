"""A stage's weights as folders of Hugging Face's Transformers."""

import pathlib

from realm_tf import folders
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models import export_weights as exporting
from realm_tf.models.realm import Realm
from realm_tf.run.folder import Run


def export_weights(run: Run, stage: str, kind: str | None, output: PathLike) -> list[str]:
  """Writes one part of a stage's model, or a folder with all of them: whole or none.

  Returns:
    A line for each part: where it is, or why it was left out.
  """
  if kind and kind not in exporting.KINDS:
    raise UserError(f"--kind: expected one of {', '.join(exporting.KINDS)}, got '{kind}'")
  folders.check(output)
  model = run.model(stage)
  if kind:
    _export(run, model, kind, pathlib.Path(output))
    return [f"{kind}: {output}"]
  lines = []
  with folders.new_folder(output) as new:
    for part in exporting.kinds_of(model):
      reason = exporting.obstacle(model, part)
      if not reason:
        _export(run, model, part, new / part)
      lines.append(f"{part}: left out: {reason}" if reason else
                   f"{part}: {pathlib.Path(output) / part}")
  return lines


def _export(run: Run, model: Realm, kind: str, folder: pathlib.Path) -> None:
  openqa = kind == "openqa" and not exporting.obstacle(model, kind)
  exporting.export_weights(
      model, kind, folder, vocabulary=run.path / "corpus" / "vocab.txt",
      block_emb=run.embeddings(model, run.corpus.stored_rows).astype("float32")
      if openqa else None)
