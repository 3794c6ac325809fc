"""KServe's protocol v2, the Open Inference Protocol: health for probes, and inference."""

from typing import Any, Awaitable, Callable

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

import realm_tf
from realm_tf.counted import counted
from realm_tf.server import body
from realm_tf.server.service import Service
from realm_tf.server.signature_calls import DEFAULT, Arrays, Signature, Tensor
from realm_tf.server.statuses import Refused, invalid
from realm_tf.server.values import plain_values, tensor

_TYPES = {"bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32",
          "uint64": "UINT64", "int8": "INT8", "int16": "INT16", "int32": "INT32",
          "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
          "string": "BYTES"}
Handler = Callable[[Request], Awaitable[Response]]


class KServe:
  """Answers all below /v2."""

  def __init__(self, service: Service):
    self._service = service

  def handlers(self) -> list[tuple[str, str, Handler]]:
    """Path, verb and handler of each endpoint."""
    routes: list[tuple[str, str, Handler]] = [
        ("/v2", "GET", self.server), ("/v2/health/live", "GET", self.live),
        ("/v2/health/ready", "GET", self.ready)]
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{number}"):
      routes += [(model, "GET", self.model), (model + "/ready", "GET", self.model_ready),
                 (model + "/infer", "POST", self.infer)]
    return routes

  async def server(self, request: Request) -> Response:
    del request
    return body.answer({"name": "realm_tf", "version": realm_tf.__version__,
                        "extensions": []})

  async def live(self, request: Request) -> Response:
    del request
    return body.answer({"live": True})

  async def ready(self, request: Request) -> Response:
    del request
    ready = self._service.lifecycle.is_ready
    return body.answer({"ready": ready}, 200 if ready else 503)

  async def model(self, request: Request) -> Response:
    served = self._served(request)
    signature = served.signatures[DEFAULT]
    return body.answer({
        "name": self._service.name, "versions": [str(served.number)],
        "platform": "tensorflow_savedmodel",
        "inputs": _described(signature.inputs), "outputs": _described(signature.outputs)})

  async def model_ready(self, request: Request) -> Response:
    self._served(request)
    return body.answer({"name": self._service.name, "ready": True})

  async def infer(self, request: Request) -> Response:
    """Runs the default signature, or the one that the parameter `signature_name` names."""
    content = await body.read_object(request, self._service.limits)
    served = self._served(request)
    parameters = content.get("parameters", {})
    name = parameters.get("signature_name", DEFAULT) if isinstance(parameters, dict) else None
    if not isinstance(name, str):
      raise invalid("'parameters': expected an object, its signature_name one of "
                    f"{', '.join(served.signatures)}")
    signature = self._service.signature(served, name)
    outputs = await self._service.predict(served, name, _inputs(content, signature))
    answer = {"model_name": self._service.name, "model_version": str(served.number),
              "outputs": [_output(key, outputs[key], signature.outputs[key])
                          for key in _wanted(content, signature)]}
    if "id" in content:
      answer["id"] = content["id"]
    return body.answer(answer)

  def _served(self, request: Request) -> Any:
    number = request.path_params.get("number")
    if number is not None and not (number.isascii() and number.isdecimal()
                                   and len(number) < 20):
      raise Refused("NOT_FOUND", f"no version '{number[:40]}'; expected a number")
    return self._service.version(request.path_params["name"],
                                 None if number is None else int(number))


def _described(tensors: dict[str, Tensor]) -> list[dict[str, Any]]:
  return [{"name": name, "datatype": _TYPES.get(spec.dtype, spec.dtype),
           "shape": [-1 if size is None else size for size in spec.shape or (None,)]}
          for name, spec in tensors.items()]


def _inputs(content: dict[str, Any], signature: Signature) -> Arrays:
  listed = content.get("inputs")
  if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
    raise invalid("'inputs': expected a list of objects")
  arrays: Arrays = {}
  for entry in listed:
    name = entry.get("name")
    if not isinstance(name, str) or name not in signature.inputs or name in arrays:
      raise invalid(f"'inputs': expected each name once, of {', '.join(signature.inputs)}")
    arrays[name] = _input(name, entry, signature.inputs[name])
  return arrays


def _input(name: str, entry: dict[str, Any], spec: Tensor) -> np.ndarray:
  expected = _TYPES.get(spec.dtype)
  if entry.get("datatype") != expected:
    raise invalid(f"input {name}: expected the datatype {expected}")
  shape, data = entry.get("shape"), entry.get("data")
  if not isinstance(shape, list) or not isinstance(data, list) or not all(
      isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
    raise invalid(f"input {name}: expected 'shape', a list of sizes, and 'data', a list")
  flat = tensor(data, spec.dtype).ravel()  # nested lists are allowed, too
  count = 1
  for size in shape:
    count *= size
  if count != len(flat):
    raise invalid(f"input {name}: {counted(len(flat), 'value')}; its shape says {count}")
  try:
    return flat.reshape(shape)
  except (ValueError, OverflowError):  # too many sizes, or too large ones beside a 0
    raise invalid(f"input {name}: no tensor has that shape") from None


def _wanted(content: dict[str, Any], signature: Signature) -> list[str]:
  """The names of the outputs that are asked for; all by default."""
  listed = content.get("outputs")
  if listed is None:
    return list(signature.outputs)
  names = [entry.get("name") if isinstance(entry, dict) else None
           for entry in listed] if isinstance(listed, list) else [None]
  if not names or not all(isinstance(name, str) and name in signature.outputs
                          for name in names):
    raise invalid(f"'outputs': expected objects with a name of "
                  f"{', '.join(signature.outputs)}")
  return [str(name) for name in names]


def _output(name: str, value: np.ndarray, tensor_: Tensor) -> dict[str, Any]:
  return {"name": name, "datatype": _TYPES.get(tensor_.dtype, tensor_.dtype),
          "shape": list(value.shape), "data": plain_values(name, value.ravel())}
