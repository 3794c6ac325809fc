"""TensorFlow Serving's REST: a client that was written for it needs no change.

Paths and their errors are those of model_servers/http_rest_api_util.cc and
http_rest_api_handler.cc, and of its api_rest.md.
"""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response

from realm_tf.server.body import answer, read_object
from realm_tf.server.service import Service
from realm_tf.server.signature_calls import DEFAULT
from realm_tf.server.statuses import Refused, invalid
from realm_tf.server.values import inputs_of, outputs_as, quote

_WHICH = r"(?:(?:/versions/(?P<number>\d+))|(?:/labels/(?P<label>[^/:]+)))?"
_CALL = re.compile(rf"(?ia)/v1/models/(?P<name>[^/:]+){_WHICH}:"
                   "(?P<method>classify|regress|predict)")
_STATUS = re.compile(rf"(?ia)/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}"
                     "(?:/(?P<more>metadata))?")
_MOST = 2**63 - 1


class Rest:
  """Answers all below /v1/."""

  def __init__(self, service: Service):
    self._service = service

  async def __call__(self, request: Request) -> Response:
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    text = path.decode("latin-1").partition("?")[0]
    pattern = {"POST": _CALL, "GET": _STATUS}.get(request.method)
    match = pattern.fullmatch(text) if pattern else None
    if not match:
      raise invalid(f"Malformed request: {request.method} {text}")
    name, number, label = (match["name"], _number(match["number"]), match["label"])
    which: tuple[Any, ...] = (None if name is None else _decoded(name), number,
                              None if label is None else _decoded(label))
    if request.method == "GET":
      return self._told(which, bool(match["more"]))
    if match["method"].lower() == "predict":
      return await self._predict(request, which)
    self._service.version(*which)
    raise invalid(f"The model has no signature for {match['method'].lower()}")

  async def _predict(self, request: Request, which: tuple[Any, ...]) -> Response:
    body = await read_object(request, self._service.limits, lenient=True)
    name = body.get("signature_name", "")
    if not isinstance(name, str):
      raise invalid(f"JSON Value: {quote(body)} not formatted correctly. 'signature_name' "
                    "key must be a string value.")
    name = name or DEFAULT
    served = self._service.version(*which)
    signature = self._service.signature(served, name)
    inputs, by_row = inputs_of(body, signature)
    outputs = await self._service.predict(served, name, inputs)
    return answer(outputs_as(outputs, by_row), lenient=True)

  def _told(self, which: tuple[Any, ...], metadata: bool) -> Response:
    name, number, label = which
    if name is None:
      raise invalid("Missing model name in request.")
    if metadata:
      served = self._service.version(name, number, label)
      return answer({
          "model_spec": {"name": name, "signature_name": "", "version": str(served.number)},
          "metadata": {"signature_def": {"signature_def": {
              key: signature.metadata for key, signature in served.signatures.items()}}}})
    if label is not None:
      number = self._service.version(name, None, label).number
    states = self._service.lifecycle.states() if name == self._service.name else []
    listed = [_status(state) for state in states if number in (None, state.number)]
    if not listed:
      raise Refused("NOT_FOUND", f"Could not find any versions of model {name}"
                    if number is None else f"Could not find version {number} of model {name}")
    return answer({"model_version_status": listed})


def _status(state: Any) -> dict[str, Any]:
  return {"version": str(state.number), "state": state.state,
          "status": {"error_code": "INVALID_ARGUMENT" if state.error else "OK",
                     "error_message": state.error}}


def _number(text: str | None) -> int | None:
  if text is None:
    return None
  if len(text) > 30 or int(text) > _MOST:
    raise invalid(f"Failed to convert version: {text[:40]} to numeric.")
  return int(text)


def _decoded(text: str) -> str:
  return unquote_to_bytes(text).decode("utf-8", "replace")
