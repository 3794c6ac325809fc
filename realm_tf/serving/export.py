"""Exports a SavedModel from question strings to answers (for TensorFlow Serving).

Signatures: `answer` (the default), `retrieve`, `embed`. Tokenising, search, reading
and cutting the answer out of the original text are all in the graph; there is no
Python in it. Three flavours:

* `portable`: stock TensorFlow and TF Text ops only;
* `native`: searches and reads by our ops, which the server must have loaded;
* `scann`: searches by ScaNN's, and scores as the others do.
"""

import contextlib
import os
import pathlib

import tensorflow as tf

import realm_tf
from realm_tf import files, folders
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.files import PathLike
from realm_tf.models import kernels

_MARKER = "realm_export.json"
EXPORT = folders.Kind("an export", _MARKER, lambda marker: marker["files"])


class _Served(tf.Module):
  """Signatures around an answerer; the module that is saved."""

  def __init__(self, answerer: QuestionAnswerer):
    super().__init__(name="realm_export")
    # Not the models themselves: Keras would trace each of their layers, which nobody calls.
    self._variables = list(answerer.variables)
    questions = tf.TensorSpec([None], tf.string, "questions")

    @tf.function(input_signature=[questions])
    def answer(questions):
      return answerer.answer(questions)._asdict()

    @tf.function(input_signature=[questions, tf.TensorSpec([], tf.int32, "k")])
    def retrieve(questions, k):
      return answerer.retrieve(questions, k)._asdict()

    @tf.function(input_signature=[questions])
    def embed(questions):
      return {"embedding": answerer.embed(questions)}

    self.answer, self.retrieve, self.embed = answer, retrieve, embed


def export(answerer: QuestionAnswerer, folder: PathLike, native: bool = False) -> None:
  """Writes the SavedModel as `folder`, whole or not at all; an earlier one is replaced.

  `native` says whether its transformers may use our ops; its index searches as it does.
  """
  with folders.new_folder(folder, EXPORT) as new:
    write(answerer, new, native)


def write(answerer: QuestionAnswerer, folder: pathlib.Path, native: bool = False) -> None:
  """Writes the SavedModel into an empty folder; see `export`."""
  parts = [folder / "variables", folder / "assets"]
  for part in parts:
    part.mkdir()  # TensorFlow would, but with permissions of its own
  with contextlib.nullcontext() if native else kernels.portable():
    served = _Served(answerer)
    tf.saved_model.save(served, str(folder), signatures={
        "serving_default": served.answer, "answer": served.answer,
        "retrieve": served.retrieve, "embed": served.embed})
  for part in parts:
    if not os.listdir(part):
      part.rmdir()
  names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
  files.write_json(folder / _MARKER, {
      "written_by": f"realm_tf {realm_tf.__version__}", "files": sorted(map(str, names))})


def load(folder: PathLike, native: bool = False, scann: bool = False):
  """Loads an export: an object with `answer(questions)` and `retrieve(questions, k)`.

  Loading registers TF Text's ops, ours for a `native` export, and ScaNN's for a `scann`.
  """
  import tensorflow_text  # pylint: disable=unused-import,import-outside-toplevel
  del tensorflow_text
  if native:
    from realm_tf.index import top_k  # pylint: disable=import-outside-toplevel
    del top_k
  if scann:
    from scann.scann_ops.py import scann_ops  # pylint: disable=import-outside-toplevel
    del scann_ops
  folders.recover(folder)
  return tf.saved_model.load(str(folder))
