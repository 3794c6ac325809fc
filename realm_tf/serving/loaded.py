"""An export as an object of Python: strings in, plain values out."""

from typing import Any, Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.errors import UserError
from realm_tf.evaluation.calibration import wanted_threshold
from realm_tf.files import PathLike
from realm_tf.models.texts import as_list
from realm_tf.report.answers import NO_READER
from realm_tf.serving import numbered, record, warmup
from realm_tf.serving.response import answer_records, passage_records
from realm_tf.serving.saved_model import load_calibration, load_sharing
from realm_tf.serving.variables import Hashed

Questions = str | Sequence[str]


class ExportedModel:
  """Answers, passages and vectors by a SavedModel that `realm export` wrote.

  One question may be given as a text, and counts as a list of one. Shape letters: B
  questions, D projection.
  """

  def __init__(self, path: PathLike, beside: "ExportedModel | None" = None):
    """Loads a version, or the newest in a folder of versions, with the ops that it needs.

    What it has in common with the one `beside` it, such as the table of an index that is the
    same, is in memory once.

    Raises:
      UserError: there is no export.
    """
    self.folder = numbered.find(path)
    self.facts = record.read_record(self.folder)
    self._variables: Hashed
    self._model, self._variables = load_sharing(
        self.folder, beside._variables if beside else {})
    self._calibration = load_calibration(self.folder)

  @property
  def signatures(self) -> Mapping[str, Callable[..., Mapping[str, tf.Tensor]]]:
    """Those of the SavedModel, by name: inputs by keyword, outputs by name."""
    return self._model.signatures

  @property
  def reads(self) -> bool:
    """Whether it answers: its reader was trained."""
    return "answer" in self.signatures

  @property
  def calibrated(self) -> bool:
    """Whether probabilities were fitted to how often answers are right (`realm calibrate`);
    else they only rank answers."""
    return self._calibration.fitted

  def answer(self, questions: Questions, top_n: int = 1, threshold: float | None = None,
             precision: float | None = None, read_blocks: int | None = None
             ) -> list[dict[str, Any]]:
    """The answer to each question, and others.

    Args:
      questions: one, or a list of B.
      top_n: how many answers `answers` lists, at most; from 1 to 100.
      threshold: if the answer is less probable, none is given; 0 by default.
      precision: instead of a threshold, the share of right ones among the answers that are
        given, as it was on the dev questions by which the model was calibrated.
      read_blocks: how many passages are read; by default as many as when it was exported.

    Returns:
      B objects: `answer`, `score`, `probability`, `title`, `passage`, `passage_id`, `row`,
      and where the answer stands in the passage: `start`, `end` in characters,
      `start_byte`, `end_byte` in bytes of its UTF-8. `answerable` is whether it is given:
      else `answer` is empty. `answers` are the same of `top_n` answers: this one, given or
      not, then others by falling probability. Where the model was calibrated to answer in
      agreement with other likely answers, one of these may be more probable than the first.

    Raises:
      UserError: threshold or precision is out of range, or the precision is not reached;
        or it cannot read.
      tf.errors.InvalidArgumentError: `top_n` or `read_blocks` is out of range.
    """
    if not self.reads:
      raise UserError(f"{self.folder}: {NO_READER}; `retrieve` finds passages")
    least = wanted_threshold(self._calibration, threshold, precision)
    more = {} if read_blocks is None else {
        "read_blocks": _count(read_blocks)}
    return answer_records(self._model.answer(
        _tensor(questions), top_n=_count(top_n),
        threshold=tf.constant([least], tf.float32), **more))

  def retrieve(self, questions: Questions, k: int = 5) -> list[list[dict[str, Any]]]:
    """The best k passages for each question, best first.

    Returns:
      B lists of k objects: `row`, `score`, `passage_id`, `title`, `passage`.

    Raises:
      tf.errors.InvalidArgumentError: k is negative, or more than there are.
    """
    return passage_records(self._model.retrieve(
        _tensor(questions), _count(k)))

  def embed(self, questions: Questions) -> np.ndarray:
    """[B, D] float32, as the query tower sees them."""
    return self._model.embed(_tensor(questions))["embedding"].numpy()

  def embed_documents(self, documents: Questions, titles: Questions = "") -> np.ndarray:
    """[B, D] float32, as blocks of these texts and titles would be found by.

    A title may be given for all at once.
    """
    return self._model.embed_documents(_tensor(documents), _tensor(titles)
                                       )["embedding"].numpy()

  def check(self) -> None:
    """Raises `UserError` where it does not answer as when it was written."""
    most = self.facts.get("corpus", {}).get("blocks", warmup.TOP_N)
    warmup.check_warmup(self.folder, self.answer,
                        lambda questions, k: self.retrieve(questions, min(k, most)))


def load(path: PathLike) -> ExportedModel:
  """Loads an export of any flavour: a version, or the newest in a folder of versions."""
  return ExportedModel(path)


def _tensor(questions: Questions) -> tf.Tensor:
  alone = isinstance(questions, (str, bytes))
  return tf.constant(as_list([questions] if alone else questions), tf.string)


def _count(number: int) -> tf.Tensor:
  """[1] int32; a number that does not fit there is as much out of range as the nearest."""
  return tf.constant([max(min(number, tf.int32.max), tf.int32.min)], tf.int32)
