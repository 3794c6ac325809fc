"""The variables of an export: told apart when it is written, loaded one by one, and shared.

Who loads a version beside another one need not read what is in memory already: a variable
that has the hash of one there gets its buffer. Nothing writes to the variables of an export,
so both may have it, and it is freed with the last of them. Nor are there ever two copies of
what is read: a tensor comes from the file into the variable that keeps it.
"""

import hashlib
import pathlib
from typing import Any, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.errors import UserError

ATTRIBUTE = "_read_variables"  # of the module that is saved: all of its variables, a list
_PREFIX = pathlib.PurePath("variables", "variables")

Hashed = dict[str, tf.Variable]  # by hash


def hashes(variables: Iterable[tf.Variable]) -> list[str]:
  """The SHA-256 of each: of its dtype, shape and values."""
  return [_hash(variable.numpy()) for variable in variables]


def _hash(values: np.ndarray) -> str:
  digest = hashlib.sha256(f"{values.dtype} {values.shape} ".encode())
  if values.dtype != object:
    digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
  for text in values.ravel():
    digest.update(b"%d " % len(text))
    digest.update(text)
  return digest.hexdigest()


def load(folder: pathlib.Path, expected: Sequence[str], known: Mapping[str, tf.Variable]
         ) -> tuple[Any, Hashed]:
  """A SavedModel and its variables.

  Args:
    folder: of a version.
    expected: the hashes of its variables, in their order.
    known: variables in memory, whose buffers it shares where a hash is the same.

  Raises:
    UserError: the SavedModel has not as many variables.
  """
  model = tf.saved_model.load(str(folder), options=tf.saved_model.LoadOptions(
      experimental_skip_checkpoint=True))
  variables = getattr(model, ATTRIBUTE, ())
  if len(variables) != len(expected):
    raise UserError(f"{folder}: {len(variables)} variables; its record says {len(expected)}")
  for number, (variable, expected_hash) in enumerate(zip(variables, expected, strict=True)):
    variable.assign(known[expected_hash].read_value() if expected_hash in known
                    else _read(folder, number, variable.dtype), read_value=False)
  return model, dict(zip(expected, variables, strict=True))


def _read(folder: pathlib.Path, number: int, dtype: tf.DType) -> tf.Tensor:
  name = f"{ATTRIBUTE}/{number}/.ATTRIBUTES/VARIABLE_VALUE"
  with tf.device("CPU"):
    value, = tf.raw_ops.RestoreV2(prefix=str(folder / _PREFIX), tensor_names=[name],
                                  shape_and_slices=[""], dtypes=[dtype])
  return value
