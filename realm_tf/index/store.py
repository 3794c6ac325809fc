"""An index on disk: the embeddings of one corpus by one document tower.

    <folder>/table.bin      [N, D], row by row, as `dtype`
    <folder>/manifest.json  shape, dtype, model step, corpus and encoder hash, SHA-256

Written whole or not at all. Shape letters: N blocks, D projection.
"""

import hashlib
import pathlib

import ml_dtypes
import numpy as np

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.files import PathLike
from realm_tf.models.retriever import Tower

_DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16}
_FORMAT_VERSION = 1


def encoder_hash(tower: Tower) -> str:
  """The SHA-256 of a document tower's weights."""
  digest = hashlib.sha256()
  for variable in tower.variables:
    digest.update(variable.numpy().tobytes())
  return digest.hexdigest()


def save_index(folder: PathLike, embeddings: np.ndarray, *, dtype: str, step: int,
               corpus_hash: str, encoder: str) -> None:
  """Writes embeddings [N, D] float32, rounded to `dtype`."""
  table = np.ascontiguousarray(embeddings, _DTYPES[dtype])
  with files.new_folder(folder) as new:
    with files.new_file(new / "table.bin") as file:
      file.write(table.tobytes())
    files.write_json(new / "manifest.json", {
        "format_version": _FORMAT_VERSION, "shape": list(table.shape), "dtype": dtype,
        "step": step, "corpus_hash": corpus_hash, "encoder_hash": encoder,
        "sha256": files.sha256(new / "table.bin")})


def load_index(folder: PathLike, *, corpus_hash: str, encoder: str) -> np.ndarray:
  """Reads the embeddings [N, D] of an index that fits.

  Raises:
    UserError: damaged, or made from another corpus or by another document tower:
      it would answer, and wrongly.
  """
  folder = pathlib.Path(folder)
  manifest = files.read_json(folder / "manifest.json")
  for field, wanted, what in (("corpus_hash", corpus_hash, "another corpus"),
                              ("encoder_hash", encoder, "another document tower")):
    if manifest[field] != wanted:
      raise UserError(f"{folder}: this index was made from {what} ({field} "
                      f"{manifest[field][:12]}, not {wanted[:12]}); run `realm index`")
  if files.sha256(folder / "table.bin") != manifest["sha256"]:
    raise UserError(f"{folder / 'table.bin'}: damaged: its SHA-256 is not the one in "
                    "manifest.json; delete the folder and run `realm index`")
  table = np.fromfile(folder / "table.bin", _DTYPES[manifest["dtype"]])
  return table.reshape(manifest["shape"])
