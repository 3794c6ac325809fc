"""An export as an object of Python: strings in, plain values out."""

from typing import Any, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.files import PathLike
from realm_tf.serving.export import load_saved_model

Questions = str | Sequence[str]


class ExportedModel:
  """Answers, passages and vectors by a SavedModel that `realm export` wrote.

  One question may be given as a text, and counts as a list of one. Shape letters: B
  questions, D projection.
  """

  def __init__(self, folder: PathLike):
    """Loads it, with the ops that its flavour needs.

    Raises:
      UserError: there is no export in the folder.
    """
    self._model = load_saved_model(folder)

  def answer(self, questions: Questions) -> list[dict[str, Any]]:
    """The best answer to each question.

    Returns:
      B objects: `answer`, `score`, `title`, `passage`, `passage_id`, `row`, and where the
      answer stands in the passage: `start`, `end` in characters, `start_byte`, `end_byte` in
      bytes of its UTF-8.
    """
    return _records(self._model.answer(_tensor(questions)))

  def retrieve(self, questions: Questions, k: int = 5) -> list[list[dict[str, Any]]]:
    """The best k passages for each question, best first.

    Returns:
      B lists of k objects: `row`, `score`, `passage_id`, `title`, `passage`.

    Raises:
      tf.errors.InvalidArgumentError: k is negative, or more than there are.
    """
    found = self._model.retrieve(_tensor(questions), tf.constant(k, tf.int32))
    size = len(found["row"])
    return [_records({name: value[i] for name, value in found.items()}) for i in range(size)]

  def embed(self, questions: Questions) -> np.ndarray:
    """[B, D] float32, as the query tower sees them."""
    return self._model.embed(_tensor(questions))["embedding"].numpy()


def load(folder: PathLike) -> ExportedModel:
  """Loads an export of any flavour."""
  return ExportedModel(folder)


def _tensor(questions: Questions) -> tf.Tensor:
  questions = [questions] if isinstance(questions, str) else list(questions)
  return tf.constant(questions, tf.string)


def _records(columns: dict[str, tf.Tensor]) -> list[dict[str, Any]]:
  values = {name: column.numpy().tolist() for name, column in columns.items()}
  return [{name: _plain(column[i]) for name, column in values.items()}
          for i in range(len(next(iter(values.values()))))]


def _plain(value: Any) -> Any:
  return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
