"""Exports a SavedModel from question strings to answers (for TensorFlow Serving).

Signatures: `answer` (the default), `retrieve`, `embed`. Tokenising, search, reading
and cutting the answer out of the original text are all in the graph; there is no
Python in it. Three flavours:

* `portable`: stock TensorFlow and TF Text ops only;
* `native`: searches and reads by our ops, which the server must have loaded;
* `scann`: searches by ScaNN's, and scores as the others do.
"""

import contextlib
import pathlib

import tensorflow as tf

from realm_tf import files
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.files import PathLike
from realm_tf.models import kernels


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
  """Writes the SavedModel into `folder`, whole or not at all.

  `native` says whether its transformers may use our ops; its index searches as it does.
  """
  ops = contextlib.nullcontext() if native else kernels.portable()
  with ops, files.new_folder(pathlib.Path(folder)) as new:
    served = _Served(answerer)
    tf.saved_model.save(served, str(new), signatures={
        "serving_default": served.answer, "answer": served.answer,
        "retrieve": served.retrieve, "embed": served.embed})


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
  return tf.saved_model.load(str(folder))
