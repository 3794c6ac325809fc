"""Exports a SavedModel from question strings to answers (for TensorFlow Serving).

Signatures: `answer` (the default) of questions alone, `answers` of questions, `top_n` and
`threshold`, both with the same outputs, `retrieve`, `embed`. Tokenising, search, reading
and cutting the answer out of the original text are all in the graph; there is no Python in
it. The calibration is in the graph too, and beside it as `calibration.json`. Three flavours:

* `portable`: stock TensorFlow and TF Text ops only;
* `native`: searches and reads by our ops, which the server must have loaded;
* `scann`: searches by ScaNN's, and scores as the others do.
"""

import contextlib
import importlib
import os
import pathlib

import tensorflow as tf

import realm_tf
from realm_tf import files, folders
from realm_tf.errors import UserError
from realm_tf.evaluation import calibration
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.files import PathLike
from realm_tf.ops import portable
from realm_tf.serving.response import respond

_MARKER = "realm_export.json"
_CALIBRATION = "calibration.json"
EXPORT = folders.FolderKind("an export", _MARKER, lambda marker: marker["files"])
# The modules that register what a flavour needs besides TensorFlow and TF Text.
_OPS: dict[str, tuple[str, ...]] = {
    "portable": (), "native": ("realm_tf.ops.library",),
    "scann": ("scann.scann_ops.py.scann_ops",)}


class _Served(tf.Module):
  """Signatures around an answerer; the module that is saved."""

  def __init__(self, answerer: QuestionAnswerer):
    super().__init__(name="realm_export")
    # Not the models themselves: Keras would trace each of their layers, which nobody calls.
    self._variables = list(answerer.variables)
    questions = tf.TensorSpec([None], tf.string, "questions")
    one, always = tf.constant(1), tf.constant(0.0)  # by which TF Serving fills in

    @tf.function(input_signature=[questions, tf.TensorSpec([], tf.int32, "top_n"),
                                  tf.TensorSpec([], tf.float32, "threshold")])
    def answer(questions, top_n=one, threshold=always):
      return respond(answerer.answer(questions, top_n), threshold)

    @tf.function(input_signature=[questions])
    def best(questions):  # with the batch as first dimension of whatever goes in and out
      return answer(questions)

    @tf.function(input_signature=[questions, tf.TensorSpec([], tf.int32, "k")])
    def retrieve(questions, k):
      return answerer.retrieve(questions, k)._asdict()

    @tf.function(input_signature=[questions])
    def embed(questions):
      return {"embedding": answerer.embed(questions)}

    self.answer, self.retrieve, self.embed = answer, retrieve, embed
    self.best = best


def export(answerer: QuestionAnswerer, folder: PathLike, flavour: str = "portable") -> None:
  """Writes the SavedModel as `folder`, whole or not at all; an earlier one is replaced.

  The flavour is recorded. With "native" it computes and searches by our ops.
  """
  with folders.new_folder(folder, EXPORT) as new:
    write(answerer, new, flavour)


def write(answerer: QuestionAnswerer, folder: pathlib.Path, flavour: str = "portable"
          ) -> None:
  """Writes the SavedModel into an empty folder; see `export`."""
  parts = [folder / "variables", folder / "assets"]
  for part in parts:
    part.mkdir()  # TensorFlow would, but with permissions of its own
  with contextlib.nullcontext() if flavour == "native" else portable():
    served = _Served(answerer)
    tf.saved_model.save(served, str(folder), signatures={
        "serving_default": served.best, "answer": served.best, "answers": served.answer,
        "retrieve": served.retrieve, "embed": served.embed})
  for part in parts:
    if not os.listdir(part):
      part.rmdir()
  calibration.write_calibration(folder / _CALIBRATION, answerer.calibration)
  names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
  files.write_json(folder / _MARKER, {
      "written_by": f"realm_tf {realm_tf.__version__}", "flavour": flavour,
      "files": sorted(map(str, names))})


def load_saved_model(folder: PathLike):
  """The SavedModel of an export: `answer(questions, top_n=1, threshold=0.0)`,
  `retrieve(questions, k)`, `embed(questions)`.

  Registers TF Text's ops first, and those that its flavour needs.

  Raises:
    UserError: there is no export in the folder.
  """
  folders.recover(folder)
  if not (pathlib.Path(folder) / "saved_model.pb").exists():
    raise UserError(f"{folder}: no export there; `realm export` writes one")
  marker = pathlib.Path(folder) / _MARKER
  flavour = files.read_json(marker).get("flavour", "") if marker.exists() else ""
  for module in ("tensorflow_text", *_OPS.get(flavour, sum(_OPS.values(), ()))):
    importlib.import_module(module)
  return tf.saved_model.load(str(folder))


def load_calibration(folder: PathLike) -> calibration.Calibration:
  """That of an export; of one that is older than calibrations, none."""
  path = pathlib.Path(folder) / _CALIBRATION
  return calibration.read_calibration(path) if path.exists() else calibration.Calibration()
