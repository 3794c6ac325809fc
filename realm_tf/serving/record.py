"""What an export says of itself: `realm_export.json`.

    format      2; before versions had numbers there was none
    written_by, flavour, versions (of packages)
    corpus      hash, blocks, documents
    model       hash (SHA-256 of all weights), and of a run: config, stage, checkpoint
    index       kind, hash (of the table), dtype
    variables   SHA-256 of each, see `serving.variables`
    calibration what answers depend on, in a line
    signatures  by name: inputs and outputs, each with dtype, shape (-1: any) and default
    files       SHA-256 of every other file, by name
"""

import hashlib
import pathlib
from typing import Any, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import realm_tf
from realm_tf import files
from realm_tf import versions as installed
from realm_tf.corpus.document_rows import document_rows
from realm_tf.errors import UserError
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.serving.numbered import MARKER, MODEL_FILE

_FORMAT = 2
_PACKAGES = ("realm_tf", "tensorflow", "tensorflow-text")


def write_record(folder: pathlib.Path, answerer: QuestionAnswerer, flavour: str,
                 variables: Sequence[str], **model: str) -> None:
  """Writes the record of what is in the folder, the last of its files.

  Args:
    folder: of a SavedModel.
    answerer: of which it was made.
    flavour: see `serving.saved_model`.
    variables: hashes of those that were saved.
    **model: what is known of where the model is from.
  """
  corpus, index = answerer.corpus, answerer.index
  packages = _PACKAGES + (("scann",) if flavour == "scann" else ())
  versions = installed.versions()
  names = sorted(path.relative_to(folder).as_posix()
                 for path in folder.rglob("*") if path.is_file())
  files.write_json(folder / MARKER, {
      "format": _FORMAT, "written_by": f"realm_tf {realm_tf.__version__}",
      "flavour": flavour, "versions": {name: versions[name] for name in packages},
      "corpus": {"hash": corpus.hash, "blocks": corpus.num_blocks,
                 "documents": len(document_rows(corpus))},
      "model": {"hash": _hash(v.numpy() for v in answerer.model.variables), **model},
      "index": {"kind": "exact" if index.is_exact() else "scann",
                "hash": _hash([index.rows()]), "dtype": index.row_dtype.name},
      "variables": list(variables),
      "calibration": answerer.calibration.rule, "signatures": signatures(folder),
      "files": {name: files.sha256(folder / name) for name in names}})


def read_record(folder: pathlib.Path) -> dict[str, Any]:
  """The record of a version; {} of a SavedModel that has none.

  Raises:
    UserError: it is not whole.
  """
  path = folder / MARKER
  if not path.exists():
    return {}
  record = files.read_json(path)
  if not isinstance(record, dict) or not isinstance(record.get("files"), (dict, list)):
    raise UserError(f"{path}: not the record of an export; run `realm export` again")
  return record


def check_export(folder: pathlib.Path) -> str:
  """Compares every file with its checksum; what was found, for people.

  Raises:
    UserError: names each that is missing or another one.
  """
  record = read_record(folder)
  sums = record.get("files", [])
  if not isinstance(sums, Mapping):
    return "of an earlier realm_tf, without checksums"
  damaged = [name for name, expected in sums.items()
             if not (folder / name).is_file() or files.sha256(folder / name) != expected]
  if damaged:
    raise UserError(f"{folder}: {', '.join(damaged)}: not what was written there; delete the "
                    "folder and run `realm export`")
  return f"{record.get('flavour')}, checksums ok"


def signatures(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Those of a SavedModel as a server sees them; see the module."""
  saved = saved_model_pb2.SavedModel.FromString((folder / MODEL_FILE).read_bytes())
  defined = saved.meta_graphs[0].signature_def
  return {name: {"inputs": _specs(defined[name].inputs, defined[name].defaults),
                 "outputs": _specs(defined[name].outputs)}
          for name in sorted(defined) if not name.startswith("__")}


def _specs(tensors: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
           ) -> dict[str, dict[str, Any]]:
  specs = {}
  for name in sorted(tensors):
    shape = tensors[name].tensor_shape
    specs[name] = {"dtype": tf.as_dtype(tensors[name].dtype).name,
                   "shape": [-1] if shape.unknown_rank else [d.size for d in shape.dim]}
    if defaults is not None and name in defaults:
      values = tf.make_ndarray(defaults[name]).tolist()
      specs[name]["default"] = [v.decode() if isinstance(v, bytes) else v for v in values]
  return specs


def _hash(arrays: Iterable[np.ndarray]) -> str:
  digest = hashlib.sha256()
  for values in arrays:
    digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
  return digest.hexdigest()
