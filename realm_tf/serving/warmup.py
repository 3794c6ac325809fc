"""Requests by which a server warms a version up, and what came out when it was made.

    assets.extra/tf_serving_warmup_requests   TFRecord of PredictionLog: TensorFlow Serving
                                              asks these before it serves
    assets.extra/realm_warmup.json            {"questions": [...], "answers": [[{"answer",
                                              "probability"}, ...], ...]}: who loads a
                                              version can check that it answers as it did.
                                              Where it cannot read: {"questions",
                                              "passages": [[row, ...], ...]}

Each request is of one question, which any batching allows.
"""

import pathlib
from typing import Any, Callable, Iterator, Mapping, Sequence

import tensorflow as tf

from realm_tf import files
from realm_tf.errors import UserError

REQUESTS = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
ANSWERS = pathlib.PurePath("assets.extra", "realm_warmup.json")
MOST_QUESTIONS = 16  # TensorFlow Serving takes 1,000 records
TOP_N = 3
# Of a probability: other processors and kernels round otherwise.
_TOLERANCE = 0.05

_Functions = Mapping[str, Any]  # of functions of TensorFlow
# Questions, and how many -> what `ExportedModel.answer` or `retrieve` returns.
_Answer = Callable[[Sequence[str], int], list[dict[str, Any]]]
_Retrieve = Callable[[Sequence[str], int], list[list[dict[str, Any]]]]


def write_warmup(folder: pathlib.Path, functions: _Functions, questions: Sequence[str],
                 answer: _Answer | None, retrieve: _Retrieve) -> None:
  """Writes both files.

  Args:
    folder: of a SavedModel.
    functions: those of its signatures, by name.
    questions: to ask; the first `MOST_QUESTIONS` count.
    answer: answers them; None where the model cannot read.
    retrieve: finds their passages.
  """
  questions = list(questions[:MOST_QUESTIONS])
  (folder / REQUESTS).parent.mkdir()
  with tf.io.TFRecordWriter(str(folder / REQUESTS)) as file:
    for name, inputs in _requests(functions, questions):
      file.write(_log(name, inputs))
  files.write_json(folder / ANSWERS, {"questions": questions, **(
      {"passages": _rows(retrieve, questions)} if answer is None else {"answers": [
          [{name: span[name] for name in ("answer", "probability")}
           for span in record["answers"]] for record in answer(questions, TOP_N)]})})


def _rows(retrieve: _Retrieve, questions: Sequence[str]) -> list[list[int]]:
  return [[passage["row"] for passage in passages]
          for passages in retrieve(questions, TOP_N)]


def check_warmup(folder: pathlib.Path, answer: _Answer, retrieve: _Retrieve) -> None:
  """Asks a loaded version its warm-up questions.

  The best answer must be among those that were best when the version was written, and
  about as probable; where it cannot read, the best passage among the best.

  Raises:
    UserError: it answers otherwise; names the first question.
  """
  if not (folder / ANSWERS).exists():
    return
  warmup = files.read_object(folder / ANSWERS)
  if "passages" in warmup:
    _check_passages(folder, warmup, retrieve)
    return
  for question, before, now in zip(
      warmup["questions"], warmup["answers"], answer(warmup["questions"], TOP_N),
      strict=True):
    probabilities = {span["answer"]: span["probability"] for span in before}
    best = now["answers"][0] if now["answers"] else None
    if (best is None and probabilities) or (best is not None and not abs(
        probabilities.get(best["answer"], -1.0) - best["probability"]) <= _TOLERANCE):
      raise UserError(
          f"{folder}: does not answer as when it was written: to '{question}' it says "
          f"{_said([best] if best else [])} instead of {_said(before)}")


def _check_passages(folder: pathlib.Path, warmup: Mapping[str, Any], retrieve: _Retrieve
                    ) -> None:
  for question, before, now in zip(warmup["questions"], warmup["passages"],
                                   _rows(retrieve, warmup["questions"]), strict=True):
    if now[:1] and now[0] not in before:
      raise UserError(f"{folder}: does not find what it found when it was written: for "
                      f"'{question}' block {now[0]} instead of {before}")


def _said(answers: Sequence[Mapping[str, Any]]) -> str:
  return ", or ".join(f"'{span['answer']}' ({span['probability']:.2f})"
                      for span in answers) or "nothing"


def _requests(functions: _Functions, questions: Sequence[str]
              ) -> Iterator[tuple[str, dict[str, Any]]]:
  """Signatures and inputs: each question, and the first one to every signature."""
  for question in questions:
    yield "serving_default", {"questions": [question]}
  for name, function in functions.items():
    defaults = function.function_spec.default_values
    if questions and name != "serving_default":
      yield name, {parameter: defaults.get(parameter, [questions[0]])
                   for parameter in function.get_concrete_function().function_type.parameters}


def _log(signature: str, inputs: Mapping[str, Any]) -> bytes:
  """A request as TensorFlow Serving logs it, with all inputs of its signature."""
  from tensorflow_serving.apis import prediction_log_pb2  # not for who only asks
  log = prediction_log_pb2.PredictionLog()
  request = log.predict_log.request
  request.model_spec.name, request.model_spec.signature_name = "realm", signature
  for name, value in inputs.items():
    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
  return log.SerializeToString()
