"""The variables of an export: told apart when it is written, loaded one by one, and shared.

Who loads a version beside another one need not read what is in memory already: where a
variable has the hash of one there, that one takes its place. Nothing writes to the
variables of an export, so both may read it, and it is freed with the last of them. (To
share no more than a buffer is not enough: `tf.gather` of a variable copies a buffer that
another one has too.) Nor are there two copies of what is read: a tensor goes from the file
into its variable.
"""

import hashlib
import math
import pathlib
from typing import Any, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.errors import UserError

ATTRIBUTE = "_read_variables"  # of the module that is saved: all of its variables, a list
_STRINGS = 1 << 14  # that are Python's at the same time
_PREFIX = pathlib.PurePath("variables", "variables")

Hashed = dict[str, tf.Variable]  # by hash


def hashes(variables: Iterable[tf.Variable]) -> list[str]:
  """The SHA-256 of each: of its dtype, shape and values. None of them is copied for it."""
  return [_hash(variable.read_value()) for variable in variables]


def _hash(tensor: tf.Tensor) -> str:
  if tensor.dtype != tf.string:
    values = np.asarray(tensor)  # in its memory, where numpy() would copy it
    digest = hashlib.sha256(f"{values.dtype} {values.shape} ".encode())
    digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
  digest = hashlib.sha256(f"object {tuple(tensor.shape)} ".encode())
  texts = tf.reshape(tensor, [-1])
  for first in range(0, len(texts), _STRINGS):
    for text in texts[first:first + _STRINGS].numpy():
      digest.update(b"%d " % len(text))
      digest.update(text)
  return digest.hexdigest()


def load_with_shared(folder: pathlib.Path, expected: Sequence[str],
                     known: Mapping[str, tf.Variable]) -> tuple[Any, Hashed]:
  """A SavedModel and its variables.

  Args:
    folder: of a version.
    expected: the hashes of its variables, in their order.
    known: variables in memory, which it shares where a hash is the same.

  Raises:
    UserError: the SavedModel has not as many variables, or its files do not hold them: that
      is found out even where all are shared, since who starts anew needs them.
  """
  _check_files(folder, len(expected))
  shared = {f"root.{ATTRIBUTE}.{number}": known[own_hash]
            for number, own_hash in enumerate(expected) if own_hash in known}
  model = tf.__internal__.saved_model.load_partial(
      str(folder), {"root": None, **shared},
      options=tf.saved_model.LoadOptions(experimental_skip_checkpoint=True))["root"]
  variables = getattr(model, ATTRIBUTE, ())
  if len(variables) != len(expected):
    raise UserError(f"{folder}: {len(variables)} variables; its record says {len(expected)}")
  for number, (variable, own_hash) in enumerate(zip(variables, expected, strict=True)):
    if own_hash not in known:
      variable.assign(_read(folder, number, variable.dtype), read_value=False)
  return model, dict(zip(expected, variables, strict=True))


def _check_files(folder: pathlib.Path, count: int) -> None:
  """That the variables have an index, each its place in it, and room in the files; none is
  read."""
  try:
    there = tf.train.load_checkpoint(str(folder / _PREFIX))
    size = sum(path.stat().st_size for path in (folder / _PREFIX).parent.glob(
        f"{_PREFIX.name}.data-*"))
  except (tf.errors.OpError, ValueError) as error:
    raise UserError(f"{folder / _PREFIX}: damaged: {error}; export it again") from None
  if missing := [number for number in range(count) if not there.has_tensor(_name(number))]:
    raise UserError(f"{folder / _PREFIX}: damaged: variable {missing[0]} of {count} is not "
                    "there; export it again")
  types = there.get_variable_to_dtype_map()
  least = sum(math.prod(shape) * max(types[name].size, 1)  # of a text its length, a byte
              for name, shape in there.get_variable_to_shape_map().items())
  if size < least:
    raise UserError(f"{folder / _PREFIX}: damaged: {size} bytes of values, not {least} or "
                    "more; export it again")


def _name(number: int) -> str:
  return f"{ATTRIBUTE}/{number}/.ATTRIBUTES/VARIABLE_VALUE"


def _read(folder: pathlib.Path, number: int, dtype: tf.DType) -> tf.Tensor:
  with tf.device("CPU"):
    value, = tf.raw_ops.RestoreV2(prefix=str(folder / _PREFIX), tensor_names=[_name(number)],
                                  shape_and_slices=[""], dtypes=[dtype])
  return value
