"""A stage's weights as folders of Hugging Face's Transformers."""

import pathlib

from realm_tf import folders
from realm_tf.errors import UserError
from realm_tf.exchange import exporting, importing
from realm_tf.files import PathLike
from realm_tf.models.realm import Realm
from realm_tf.run.folder import Run
from realm_tf.text import tokenizer_files


def export_weights(run: Run, stage: str, kind: str | None, output: PathLike) -> list[str]:
  """Writes one part of a stage's model, or a folder with all of them: whole or none.

  Returns:
    A line for each part: where it is, or why it was left out.
  """
  if kind and kind not in exporting.EXPORTED_KINDS:
    raise UserError(f"--kind: expected one of {', '.join(exporting.EXPORTED_KINDS)}, "
                    f"got '{kind}'")
  with folders.new_folder(output) as new:
    model, lines = run.model(stage), []
    for part in [kind] if kind else exporting.kinds_of(model):
      reason = None if kind else exporting.obstacle(model, part)
      if reason:
        lines.append(f"{part}: left out: {reason}")
        continue
      folder = new if kind else new / part
      folder.mkdir(exist_ok=True)
      _write(run, model, part, folder)
      lines.append(f"{part}: {output if kind else pathlib.Path(output) / part}")
  return lines


def _write(run: Run, model: Realm, kind: str, folder: pathlib.Path) -> None:
  embeddings = None
  if kind == "openqa" and not exporting.obstacle(model, kind):
    # Of the blocks that are not deleted.
    embeddings = run.embeddings(model, run.corpus.stored_rows).astype("float32")
  config, values = exporting.checkpoint_contents(model, kind, embeddings)
  importing.fill_folder(folder, config, values, run.path / "corpus" / "vocab.txt")
  tokenizer_files.write_settings(run.corpus.tokenizer, folder)
