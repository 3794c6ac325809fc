"""JSON to tensors and back, as TensorFlow Serving's REST does (util/json_tensor.cc)."""

import base64
import binascii
import json
from typing import Any

import numpy as np

from realm_tf.server.signature_calls import Arrays, Signature
from realm_tf.server.statuses import Refused, invalid

_SHOWN = 80  # characters of a value in an error
MOST_DIMENSIONS = 32  # NumPy has some 64 at most


def quote(value: Any) -> str:
  """A value, for an error."""
  text = json.dumps(value)
  return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def inputs_of(body: dict[str, Any], signature: Signature) -> tuple[Arrays, bool]:
  """The tensors of a request's `instances` or `inputs`, and whether it was the former.

  An input that has a default may be left out.

  Raises:
    Refused: it has both, or neither, or what cannot be a tensor.
  """
  if "instances" in body and "inputs" in body:
    raise invalid(f"JSON Value: {quote(body)} Not formatted correctly expecting only one of "
                  "'inputs' or 'instances' keys to exist ")
  if "instances" in body:
    return _from_rows(body["instances"], signature, body), True
  if "inputs" in body:
    return _from_columns(body["inputs"], signature), False
  raise invalid("Missing 'inputs' or 'instances' key")


def _from_rows(instances: Any, signature: Signature, body: dict[str, Any]) -> Arrays:
  if not isinstance(instances, list):
    raise invalid(f"JSON Value: {quote(body)} Excepting 'instances' to be an list/array")
  if not instances:
    raise invalid(f"JSON Value: {quote(body)} No values in 'instances' array")
  named = _is_named(instances[0])
  if not named:
    alone = _only(signature, "instances is a plain list, but expecting list of objects as "
                  "multiple input tensors required as per tensorinfo_map")
    instances = [{alone: value} for value in _alike(instances, named)]
  columns: dict[str, list[np.ndarray]] = {}
  first = set(_alike(instances, True)[0])
  for number, instance in enumerate(instances):
    if set(instance) != first or not set(signature.required) <= first:
      raise invalid(f"Failed to process element: {number} of 'instances' list. JSON object: "
                    f"{quote(instance)} keys must be equal to: {','.join(signature.inputs)}")
    for name, value in instance.items():
      try:
        columns.setdefault(name, []).append(_named(name, value, signature))
        _check_shape(columns[name])
      except Refused as error:
        raise invalid(f"Failed to process element: {number} key: {name} of 'instances' list. "
                      f"Error: {error.code}: {error}") from None
  return {name: np.stack(values) for name, values in columns.items()}


def _from_columns(inputs: Any, signature: Signature) -> Arrays:
  if not _is_named(inputs):
    alone = _only(signature, "inputs is a plain value/list, but expecting an object as "
                  "multiple input tensors required as per tensorinfo_map")
    return {alone: _named(alone, inputs, signature)}
  for name in signature.required:
    if name not in inputs:
      raise invalid(f"Missing named input: {name} in 'inputs' object.")
  return {name: _named(name, value, signature) for name, value in inputs.items()
          if name in signature.inputs}


def _only(signature: Signature, otherwise: str) -> str:
  """The input that a value without a name is for."""
  names = signature.required or list(signature.inputs)
  if len(names) != 1:
    raise invalid(otherwise)
  return names[0]


def _is_named(value: Any) -> bool:
  return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
  return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _alike(instances: list[Any], named: bool) -> list[Any]:
  for number, instance in enumerate(instances):
    if _is_named(instance) != named:
      expected, actual = ("object", "list") if named else ("value/list", "object")
      raise invalid(f"Expecting {expected} but got {actual} at item {number} of input list")
  return instances


def _check_shape(values: list[np.ndarray]) -> None:
  if values[-1].shape != values[0].shape:
    raise invalid(f"Expecting shape {list(values[0].shape)} but got: "
                  f"{list(values[-1].shape)}")


def _named(name: str, value: Any, signature: Signature) -> np.ndarray:
  if name not in signature.inputs:
    raise invalid(f"JSON object: does not have named input: {name}")
  return tensor(value, signature.inputs[name].dtype)


def tensor(value: Any, dtype: str) -> np.ndarray:
  """A value, or lists of lists of them, as a tensor of a dtype by TensorFlow's name.

  Its shape is that of the lists, [] of a value. Strings are bytes in an array of objects.
  """
  shape, first = [], value
  while isinstance(first, list):
    shape.append(len(first))
    if not first:
      break
    first = first[0]
  if len(shape) > MOST_DIMENSIONS:
    raise invalid(f"Lists are nested more than {MOST_DIMENSIONS} deep")
  leaves: list[Any] = []
  _fill(value, 0, shape, dtype, leaves)
  array = np.empty(len(leaves), object if dtype == "string" else dtype)
  array[:] = leaves
  return array.reshape(shape)


def _fill(value: Any, level: int, shape: list[int], dtype: str, leaves: list[Any]) -> None:
  if not isinstance(value, list):
    if level != len(shape):
      raise invalid(f"JSON Value: {quote(value)} found at incorrect level: {level + 1} in "
                    f"the JSON DOM. Expected at level: {len(shape)}")
    leaves.append(_leaf(value, dtype))
    return
  if level >= len(shape):
    raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
  if len(value) != shape[level]:
    raise invalid(f"Encountered list at unexpected size: {len(value)} at level: {level} "
                  f"expected size: {shape[level]}")
  for element in value:
    _fill(element, level + 1, shape, dtype, leaves)


def _leaf(value: Any, dtype: str) -> Any:
  if dtype == "string" and isinstance(value, dict):
    return _from_base64(value)
  number = isinstance(value, (int, float)) and not isinstance(value, bool)
  if dtype == "string" and isinstance(value, str):
    return _bytes(value)
  if dtype == "bool" and isinstance(value, bool):
    return value
  if dtype in ("float32", "float64") and number:
    return _decimal(value, dtype)
  if dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
    limits = np.iinfo(dtype)
    if number and isinstance(value, int) and limits.min <= value <= limits.max:
      return value
  elif dtype not in ("string", "bool", "float32", "float64"):
    raise Refused("UNIMPLEMENTED", f"Conversion of JSON Value: {quote(value)} to type: "
                  f"{dtype}")
  raise invalid(f"JSON Value: {quote(value)} Type: {_type(value)} is not of expected type: "
                f"{dtype}")


def _type(value: Any) -> str:
  names: dict[type, str] = {bool: str(value), dict: "Object", list: "Array", str: "String"}
  return "Null" if value is None else names.get(type(value), "Number")


def _decimal(value: int | float, dtype: str) -> float:
  limits = np.finfo(dtype)
  exact = (abs(value) < 1 << (limits.nmant + 1) if isinstance(value, int)
           else not np.isfinite(value) or -float(limits.max) <= value <= float(limits.max))
  if not exact:
    raise invalid(f"Cannot convert JSON value: {quote(value)} to {dtype} without loss of "
                  "precision.")
  return float(value)


def _bytes(value: str) -> bytes:
  try:
    return value.encode("utf-8")
  except UnicodeEncodeError:
    raise invalid(f"JSON Value: {quote(value)} holds half a surrogate pair") from None


def _from_base64(value: dict[str, Any]) -> bytes:
  if not _is_base64(value):
    raise invalid(f"JSON Value: {quote(value)} not formatted correctly for base64 data")
  text = "".join(value["b64"].split())
  try:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
  except (binascii.Error, ValueError):
    raise invalid("Unable to base64 decode") from None


def outputs_as(outputs: Arrays, by_row: bool) -> dict[str, Any]:
  """`predictions` or `outputs`: a single output loses its name."""
  plain = {name: plain_values(name, value) for name, value in sorted(outputs.items())}
  if not by_row:
    return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
  sizes = {name: value.shape[0] if value.ndim else None for name, value in outputs.items()}
  first = next(iter(sizes.values()))
  for name, size in sizes.items():
    if size is None:
      raise invalid(f"Tensor name: {name} has no shape information ")
    if size != first:
      raise invalid(f"Tensor name: {name} has inconsistent batch size: {size} expecting: "
                    f"{first}")
  if len(plain) == 1:
    return {"predictions": next(iter(plain.values()))}
  return {"predictions": [dict(zip(plain, row)) for row in zip(*plain.values())]}


def plain_values(name: str, value: np.ndarray) -> Any:
  """A tensor of any shape and dtype, strings as bytes in an array of objects, as lists that
  are nested as its axes: numbers in as few digits as tell them, texts, {"b64": ...} of bytes.
  """
  if value.dtype == object:
    encode = _to_base64 if name.endswith("_bytes") else _text
    leaves: list[Any] = [encode(element) for element in value.ravel().tolist()]
  elif value.dtype == np.float32:
    leaves = [float(text) for text in value.ravel().astype(str).tolist()]
  else:
    leaves = value.ravel().tolist()
  array = np.empty(len(leaves), object)
  array[:] = leaves
  return array.reshape(value.shape).tolist()


def _text(value: bytes) -> str:
  return value.decode("utf-8", "replace")


def _to_base64(value: bytes) -> dict[str, str]:
  return {"b64": base64.b64encode(value).decode()}
