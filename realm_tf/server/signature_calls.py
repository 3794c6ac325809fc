"""The signatures of an export: what goes in and out, as its file says, and running them."""

import pathlib
from typing import Any, Callable, Mapping, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2

from realm_tf.server.statuses import invalid

DEFAULT = "serving_default"
Arrays = dict[str, np.ndarray]


class Tensor(NamedTuple):
  """An input or output: `dtype` by TensorFlow's name, such as "string"; None in the shape
  where a size is not fixed; `default` where it may be left out."""
  dtype: str
  shape: tuple[int | None, ...] | None
  default: np.ndarray | None = None


class Signature(NamedTuple):
  """What goes in, what comes out, and what TensorFlow Serving tells of it at /metadata."""
  inputs: dict[str, Tensor]
  outputs: dict[str, Tensor]
  metadata: dict[str, Any]
  function: Callable[..., Mapping[str, tf.Tensor]]

  @property
  def required(self) -> list[str]:
    """The inputs that have no default."""
    return [name for name, tensor in self.inputs.items() if tensor.default is None]

  def complete(self, inputs: Arrays) -> Arrays:
    """With the defaults of what was left out.

    Raises:
      Refused: an input is missing, or has another shape.
    """
    whole = {}
    for name, tensor in self.inputs.items():
      value = inputs.get(name, tensor.default)
      if value is None:
        raise invalid(f"Missing named input: {name}")
      if not tf.TensorShape(tensor.shape).is_compatible_with(value.shape):
        raise invalid(f"Input {name} must be of shape {_shown(tensor.shape)}, but is of "
                      f"{_shown(value.shape)}")
      whole[name] = value
    return whole

  def run(self, inputs: Arrays) -> Arrays:
    """All inputs -> all outputs."""
    outputs = self.function(**{
        name: tf.constant(value, tf.as_dtype(self.inputs[name].dtype), value.shape)
        for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}

  @property
  def is_batched(self) -> bool:
    """Whether each output has a row for each row of the inputs that have any."""
    tensors = [*(t for t in self.inputs.values() if t.shape != ()), *self.outputs.values()]
    return all(t.shape is not None and len(t.shape) > 0 and t.shape[0] is None
               for t in tensors)


def read_signatures(folder: pathlib.Path, functions: Mapping[str, Callable]
                    ) -> dict[str, Signature]:
  """By name, as saved_model.pb lists them; `functions` are those of the loaded model."""
  saved = saved_model_pb2.SavedModel()
  saved.ParseFromString((folder / "saved_model.pb").read_bytes())
  signatures = {}
  for name, listed in saved.meta_graphs[0].signature_def.items():
    if name in functions:
      signatures[name] = Signature(
          {key: _tensor(info, listed.defaults.get(key))
           for key, info in sorted(listed.inputs.items())},
          {key: _tensor(info) for key, info in sorted(listed.outputs.items())},
          json_format.MessageToDict(listed, preserving_proto_field_name=True,
                                    always_print_fields_with_no_presence=True),
          functions[name])
  return signatures


def _tensor(info: Any, default: Any = None) -> Tensor:
  shape = tf.TensorShape(info.tensor_shape)
  return Tensor(tf.as_dtype(info.dtype).name,
                None if shape.rank is None else tuple(shape.as_list()),
                None if default is None else tf.make_ndarray(default))


def _shown(shape: tuple[int | None, ...] | None) -> str:
  return "[?]" if shape is None else str([-1 if size is None else size for size in shape])
