"""Many questions, some at a time: memory does not grow with their number."""

from typing import Any, Callable, Sequence

import tensorflow as tf


def in_parts(function: Callable[..., Any], inputs: Sequence[tf.Tensor], most: Any,
             result: Any) -> Any:
  """`function` of at most so many questions at a time, its results end to end.

  Args:
    function: of parts of the inputs, [P, ...] each -> tensors [P, ...]. The parts are equal
      (collectives want the same shapes each time), and none is empty: they are filled up
      with empty texts and zeros.
    inputs: [B, ...] each; the first are the questions.
    most: scalar int32 of at least 1, the limit of P.
    result: the specs of what `function` returns, their first dimension unknown.
  """
  size = tf.shape(inputs[0])[0]
  count = tf.maximum(-(-size // most), 1)
  part = tf.maximum(-(-size // count), 1)
  filled = [_filled(values, count * part) for values in inputs]

  def step(i: tf.Tensor, arrays: Any) -> tuple[tf.Tensor, Any]:
    values = function(*(value[i * part:(i + 1) * part] for value in filled))
    return i + 1, tf.nest.map_structure(
        lambda array, value: array.write(i, value), arrays, values)

  arrays = tf.nest.map_structure(lambda spec: tf.TensorArray(
      spec.dtype, count, infer_shape=False, element_shape=spec.shape), result)
  _, arrays = tf.while_loop(lambda i, _: i < count, step, (0, arrays), parallel_iterations=1)
  return tf.nest.map_structure(lambda array: array.concat()[:size], arrays)


def _filled(values: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """[B, ...] -> [size, ...]: with empty texts or zeros at the end."""
  shape = tf.shape(values)
  more = tf.concat([[size - shape[0]], shape[1:]], 0)
  return tf.concat([values, tf.zeros(more, values.dtype)], 0)
