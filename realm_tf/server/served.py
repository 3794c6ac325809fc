"""One version of a model that is loaded: it answers, searches, and runs its signatures."""

import math
from typing import Any, Mapping, Sequence

import tensorflow as tf

from realm_tf import files
from realm_tf.errors import UserError
from realm_tf.server.signatures import Arrays, Signature, read_signatures
from realm_tf.server.source import Found
from realm_tf.serving.loaded import ExportedModel

WARM_UP = "assets.extra/realm_warmup.json"
MOST_PASSAGES = 100  # that are listed beside an answer, or found by a search
_CLOSE = 0.02  # of two probabilities, of other kernels or processors
_QUESTION = "who lives by the river?"

Records = list[dict[str, Any]]


class Served:
  """A loaded version. Shape letters: B questions.

  Attributes:
    number: of the version.
    mark: of its files, when it was loaded.
    signatures: by name.
    most_passages: that can be listed: as many as there are, `MOST_PASSAGES` at most.
  """

  def __init__(self, found: Found):
    """Loads it, has it answer, and compares with the answers that came with it.

    Raises:
      UserError: it is no export, or does not answer as it should.
      Exception: whatever TensorFlow says of a damaged one.
    """
    self.number, self.mark = found.number, found.mark
    self._model = ExportedModel(found.folder)
    self.signatures: dict[str, Signature] = read_signatures(
        found.folder, self._model.signatures)
    self.most_passages = self._count_passages()
    self._warm_up(found)

  def answer(self, questions: Sequence[str], passages: int, **wanted: Any) -> Records:
    """B answers, see `ExportedModel.answer`; each with the `passages` best passages, as
    `search` gives them."""
    answers = self._model.answer(questions, **wanted)
    found = self.search(questions, passages) if passages else [[] for _ in questions]
    return [{**answer, "passages": one}
            for answer, one in zip(answers, found, strict=True)]

  def search(self, questions: Sequence[str], k: int) -> list[Records]:
    """B lists of the best passages, k or as many as there are, best first.

    Each has `probability`: p(z|x) among those that are listed, the softmax of their scores
    (Guu et al. 2020, section 3.1).
    """
    found = self._model.retrieve(questions, min(k, self.most_passages))
    for passages in found:
      _add_probabilities(passages)
    return found

  def run(self, name: str, inputs: Arrays) -> Arrays:
    """The outputs of a signature; see `Signature.complete`."""
    return self.signatures[name].run(inputs)

  def _count_passages(self) -> int:
    """The largest k that the model takes: it has no more blocks, or we want no more."""
    known, too_many = 0, MOST_PASSAGES + 1
    trial = MOST_PASSAGES
    while too_many - known > 1:
      try:
        self._model.retrieve([_QUESTION], trial)
        known = trial
      except tf.errors.InvalidArgumentError:
        too_many = trial
      trial = (known + too_many) // 2
    return known

  def _warm_up(self, found: Found) -> None:
    path = found.folder / WARM_UP
    if not path.exists():
      self.answer([_QUESTION], min(1, self.most_passages))
      return
    expected = _read(path)
    for question, answers in expected:
      given = self.answer([question], 0, top_n=max(1, len(answers)))[0]["answers"]
      wrong = _difference(answers, given)
      if wrong:
        raise UserError(f"{path}: to '{question}' {wrong}")


def _add_probabilities(passages: Records) -> None:
  best = max((passage["score"] for passage in passages), default=0.0)
  shares = [math.exp(passage["score"] - best) for passage in passages]
  for passage, share in zip(passages, shares, strict=True):
    passage["probability"] = share / sum(shares)


def _read(path: files.PathLike) -> list[tuple[str, Records]]:
  """Questions with the answers that are expected, best first."""
  found = files.read_json(path)
  try:
    pairs = list(zip(found["questions"], found["answers"], strict=True))
    return [(str(question), [{"answer": str(one["answer"]),
                              "probability": float(one["probability"])} for one in answers])
            for question, answers in pairs]
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(f"{path}: not questions and answers ({type(error).__name__}: {error})"
                    ) from None


def _difference(expected: Records, given: Sequence[Mapping[str, Any]]) -> str:
  """In what answers differ; "" if not. Those about as probable may change places."""
  if len(given) < len(expected):
    return f"there are {len(given)} answers, not {len(expected)}"
  for wanted, one in zip(expected, given):
    if not abs(wanted["probability"] - one["probability"]) <= _CLOSE:
      return (f"'{one['answer']}' has probability {one['probability']:.3f}, and should have "
              f"{wanted['probability']:.3f}")
  if not expected:
    return ""
  rivals = [one["answer"] for one in expected
            if expected[0]["probability"] - one["probability"] <= _CLOSE]
  if given[0]["answer"] in rivals or len(rivals) == len(expected) > 1:
    return ""
  return f"it answers '{given[0]['answer']}', and should '{expected[0]['answer']}'"
