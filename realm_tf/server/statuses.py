"""What is said where a request is not answered: TensorFlow's codes and HTTP's numbers.

The codes are those of `absl::Status`, the numbers those of TensorFlow Serving's
`ToHTTPStatusCode` (model_servers/http_server.cc).
"""

import re

from absl import logging

from realm_tf.errors import UserError

HTTP = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499,
    "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504, "INTERNAL": 500,
    "UNKNOWN": 500}
_MOST = 500  # characters of what a client is told


class Refused(Exception):
  """A request that is not answered.

  Attributes:
    code: a name in `HTTP`.
    status: the number; that of the code unless HTTP has a better one (405, 413).
    headers: that belong to the answer.
  """

  def __init__(self, code: str, message: str, status: int | None = None,
               headers: dict[str, str] | None = None):
    super().__init__(message)
    self.code, self.status = code, status or HTTP[code]
    self.headers = headers or {}


def invalid(message: str) -> Refused:
  return Refused("INVALID_ARGUMENT", message)


def refusal(error: BaseException) -> Refused:
  """What a client is told of an error: nothing of where in the code it happened.

  What is nobody's fault but ours is logged, with all that is known of it.
  """
  if isinstance(error, Refused):
    return error
  if isinstance(error, UserError):
    return invalid(" ".join(str(error).split())[:_MOST])
  code = _code_of_tensorflow(error)
  if code == "INVALID_ARGUMENT":
    return invalid(_of_assertion(str(error)))
  if code == "RESOURCE_EXHAUSTED":
    return Refused(code, "The model has run out of memory; ask for less at a time")
  logging.error("a request failed: %s", error, exc_info=error)
  return Refused("INTERNAL", "Internal error; the server's log says more")


def _code_of_tensorflow(error: BaseException) -> str | None:
  """The code of an error of TensorFlow's ops, by the name of its class: no import."""
  if not type(error).__module__.startswith("tensorflow."):
    return None
  words = re.findall("[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
  return "_".join(words).upper()


def _of_assertion(text: str) -> str:
  """What an assertion in the graph says, without nodes, files and lines."""
  match = re.search(r"assertion failed: ((?:\[[^\]\n]*\] ?)+)", text)
  if not match:
    return "The model does not take these inputs"
  return " ".join(re.findall(r"\[([^\]]*)\]", match.group(1)))[:_MOST]
