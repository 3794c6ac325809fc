"""One version of a model that is loaded: it answers, searches, and runs its signatures."""

import math
from typing import Any, Sequence

import tensorflow as tf
from absl import logging

from realm_tf.report.answers import NO_READER
from realm_tf.server.signature_calls import Arrays, Signature, read_signatures
from realm_tf.server.source import Found
from realm_tf.serving.loaded import ExportedModel

MOST_PASSAGES = 100  # that are listed beside an answer, or found by a search
_QUESTION = "who lives by the river?"

Records = list[dict[str, Any]]


class Served:
  """A loaded version. Shape letters: B questions.

  Attributes:
    number: of the version.
    mark: of its files, when it was loaded.
    signatures: by name.
    reads: whether it answers; else it only searches.
    most_passages: that can be listed: as many as there are, `MOST_PASSAGES` at most.
  """

  def __init__(self, version: Found, old: "Served | None" = None):
    """Loads it, has it answer, and compares with the answers that came with it.

    What it has in common with the old one is in memory once.

    Raises:
      UserError: it is no export, or does not answer as it should.
      Exception: whatever TensorFlow says of a damaged one.
    """
    self.number, self.mark = version.number, version.mark
    self._model: ExportedModel = ExportedModel(version.folder, old._model if old else None)
    self.signatures: dict[str, Signature] = read_signatures(
        version.folder, self._model.signatures)
    self.reads = self._model.reads
    self.most_passages = self._count_passages()
    if self.reads:
      self.answer([_QUESTION], min(1, self.most_passages))  # warm, whatever came with it
    else:
      logging.warning("version %d: %s; it searches, and answers nothing", self.number,
                      NO_READER)
    self._model.check()

  def answer(self, questions: Sequence[str], passages: int, **wanted: Any) -> Records:
    """B answers, see `ExportedModel.answer`; each with the `passages` best passages, as
    `search` gives them, and whether its probabilities are `calibrated`."""
    answers = self._model.answer(questions, **wanted)
    listed = self.search(questions, passages) if passages else [[] for _ in questions]
    return [{**answer, "calibrated": self._model.calibrated, "passages": records}
            for answer, records in zip(answers, listed, strict=True)]

  def search(self, questions: Sequence[str], k: int) -> list[Records]:
    """B lists of the best passages, k or as many as there are, best first.

    Each has `probability`: p(z|x) among those that are listed, the softmax of their scores
    (Guu et al. 2020, section 3.1).
    """
    records = self._model.retrieve(questions, min(k, self.most_passages))
    for passages in records:
      _add_probabilities(passages)
    return records

  def run(self, name: str, inputs: Arrays) -> Arrays:
    """The outputs of a signature; see `Signature.complete`."""
    return self.signatures[name].run(inputs)

  def _count_passages(self) -> int:
    """The largest k that the model takes: it has no more blocks, or we want no more."""
    possible, too_many = 0, MOST_PASSAGES + 1
    trial = MOST_PASSAGES
    while too_many - possible > 1:
      try:
        self._model.retrieve([_QUESTION], trial)
        possible = trial
      except tf.errors.InvalidArgumentError:
        too_many = trial
      trial = (possible + too_many) // 2
    return possible


def _add_probabilities(passages: Records) -> None:
  best = max((passage["score"] for passage in passages), default=0.0)
  shares = [math.exp(passage["score"] - best) for passage in passages]
  for passage, share in zip(passages, shares, strict=True):
    passage["probability"] = share / sum(shares)
