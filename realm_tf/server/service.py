"""What the server does, whichever protocol asks: answer, search, run a signature."""

import asyncio
import concurrent.futures
from typing import Any, Callable, Collection, Hashable, Sequence

import numpy as np

from realm_tf.datasets.questions import checked_question
from realm_tf.report.answers import NO_READER
from realm_tf.server.batching import Batcher, RunAll
from realm_tf.server.lifecycle import Lifecycle
from realm_tf.server.server_settings import Limits
from realm_tf.server.signature_calls import Arrays
from realm_tf.server.statuses import Refused, invalid, refusal

_COUNTS = ("k", "read_blocks")  # inputs that say how many passages are found or read


class Service:
  """A model under a name, its queue and its limits.

  Args:
    name: that clients call the model by.
    lifecycle: which version answers.
    batcher: what runs it.
    limits: what a request may ask for.
    labels: that mean the version that answers.
  """

  def __init__(self, name: str, lifecycle: Lifecycle, batcher: Batcher, limits: Limits,
               labels: Sequence[str] = ()):
    self.name, self.lifecycle, self.limits, self.labels = name, lifecycle, limits, labels
    self.batcher = batcher

  def version(self, name: str, number: int | None = None, label: str | None = None) -> Any:
    """The `Served` that a client means.

    Raises:
      Refused: in TensorFlow Serving's words.
    """
    if name == self.name and label is not None and label not in self.labels:
      raise invalid(f"Unrecognized servable version label: {label}")
    which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    if name != self.name:
      raise Refused("NOT_FOUND", f"Servable not found for request: {which}")
    served = self.lifecycle.current
    if number not in (None, served.number):
      raise Refused("NOT_FOUND", f"Servable not found for request: {which}")
    return served

  def signature(self, served: Any, name: str) -> Any:
    """A signature of a version.

    Raises:
      Refused: in TensorFlow Serving's words: it is not there.
    """
    signature = served.signatures.get(name)
    if signature is None:
      raise invalid(f'Serving signature name: "{name}" not found in signature def'
                    + ("" if served.reads or name != "answer" else f": {NO_READER}"))
    return signature

  async def answer(self, questions: Sequence[str], passages: int, **wanted: Any
                   ) -> tuple[int, list[dict[str, Any]]]:
    """The version that answered, and what `Served.answer` says.

    Raises:
      Refused: what cannot be asked; the version has no reader.
    """
    self._check_questions(questions, passages)
    served = self.lifecycle.current
    if not served.reads:
      raise Refused("FAILED_PRECONDITION", f"{NO_READER}; this server finds passages "
                    "(search), and answers nothing", 409)
    key = (id(served), "answer", passages, *sorted(wanted.items()))
    return served.number, await self._run(key, len(questions), questions, _joined(
        lambda asked: served.answer(asked, passages, **wanted)))

  async def search(self, questions: Sequence[str], k: int
                   ) -> tuple[int, list[list[dict[str, Any]]]]:
    """The version that answered, and what `Served.search` finds."""
    self._check_questions(questions, k)
    served = self.lifecycle.current
    return served.number, await self._run(
        (id(served), "search", k), len(questions), questions,
        _joined(lambda asked: served.search(asked, k)))

  async def predict(self, served: Any, name: str, inputs: Arrays) -> Arrays:
    """The outputs of a signature of a version.

    Raises:
      Refused: it is not there, or these are not its inputs.
    """
    signature = self.signature(served, name)
    whole = signature.complete(inputs)
    rows = max((len(value) for value in whole.values() if value.ndim), default=1)
    self._check_inputs(whole, rows)
    shared = {key for key, value in whole.items() if not value.ndim
              or (len(value) == 1 and signature.inputs[key].default is not None)}
    sizes = {len(value) for key, value in whole.items() if key not in shared}
    if not signature.is_batched or sizes != {rows} or not rows:
      return await self._run(object(), max(1, rows), whole,
                             lambda batches: [served.run(name, arrays) for arrays in batches])
    kinds = (_kind(key, value, key in shared) for key, value in whole.items())
    return await self._run((id(served), name, *kinds), rows, whole, _stacked(
        lambda arrays: served.run(name, arrays), shared))

  def _check_questions(self, questions: Sequence[str], passages: int) -> None:
    self._check_rows(len(questions))
    for number, question in enumerate(questions, 1):
      which = "question" if len(questions) == 1 else f"question {number}"
      self._check_text(checked_question(question, which).encode(), which)
    self._check_passages(len(questions) * passages)

  def _check_inputs(self, inputs: Arrays, rows: int) -> None:
    self._check_rows(rows)
    for name, value in inputs.items():
      if value.dtype == object:
        for text in value.ravel().tolist():
          self._check_text(text, f"an element of {name}")
      if name in _COUNTS and value.size:
        self._check_passages(rows * int(value.max()))

  def _check_rows(self, rows: int) -> None:
    if rows > self.limits.max_questions:
      raise invalid(f"{rows} questions; a request may have {self.limits.max_questions}")

  def _check_text(self, text: bytes, which: str) -> None:
    if len(text) > self.limits.max_question_bytes:
      raise invalid(f"{which} has {len(text)} bytes; the limit is "
                    f"{self.limits.max_question_bytes}")

  def _check_passages(self, passages: int) -> None:
    if passages > self.limits.max_passages:
      raise invalid(f"{passages} passages over all questions; a request may have "
                    f"{self.limits.max_passages}")

  async def _run(self, key: Hashable, rows: int, payload: Any, run: RunAll) -> Any:
    future = self.batcher.submit(key, rows, payload, run)
    try:
      return await asyncio.wait_for(asyncio.wrap_future(future), self.limits.request_timeout)
    except (TimeoutError, concurrent.futures.CancelledError):
      raise Refused("DEADLINE_EXCEEDED", "The request took longer than "
                    f"{self.limits.request_timeout:g} s") from None
    except Exception as error:
      raise refusal(error) from None


def _joined(call: Callable[[list[str]], list[Any]]) -> RunAll:
  """Lists of questions -> lists of what `call` says to all of them."""
  def run(batches: list[Sequence[str]]) -> list[Any]:
    results = iter(call([question for batch in batches for question in batch]))
    return [[next(results) for _ in batch] for batch in batches]
  return run


def _stacked(call: Callable[[Arrays], Arrays], shared: Collection[str]) -> RunAll:
  """The same for tensors with a row for each question, but for those that are shared."""
  def run(batches: list[Arrays]) -> list[Arrays]:
    first = batches[0]
    outputs = call({
        name: value if name in shared else np.concatenate([batch[name] for batch in batches])
        for name, value in first.items()})
    rows = [next(len(batch[name]) for name in batch if name not in shared)
            for batch in batches]
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(value, ends) for name, value in outputs.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(batches))]
  return run


def _kind(name: str, value: np.ndarray, is_shared: bool) -> Hashable:
  """What of an input must be alike in requests that run together: all but the texts.

  Numbers may say how wide the outputs are, so requests with others run apart.
  """
  if value.dtype == object and not is_shared:
    return name, value.shape[1:]
  if not is_shared and (value == value.flat[0]).all():
    return name, value.shape[1:], value.flat[0].item()
  return name, is_shared, value.shape, tuple(value.ravel().tolist())
