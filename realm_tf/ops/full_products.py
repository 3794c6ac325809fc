# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Matrix products as exact as float32's where the device rounds what it multiplies.

NVIDIA's tensor cores multiply float32 as TF32: 8 bits of exponent, 11 of significand. A
search that chooses by such products misses what is best. A number is the sum of a part that
TF32 holds and of a rest that it holds nearly, so three of its products make one (Markidis et
al. 2018, arXiv 1803.04014, for half precision).
"""

import tensorflow as tf

_KEPT = -0x2000  # a mask of the bits of a float32 that TF32 holds


def float32_products(queries, rows):
  """`[B, D]` float32 and `[C, D]` float32 or bfloat16 -> `[B, C]` float32 products.

  What is infinite or not a number is as in `tf.matmul`.
  """
  wide = tf.cast(rows, tf.float32)
  if not _is_rounded():
    return _product(queries, wide)
  kept, rest = _parts(queries)
  if rows.dtype == tf.bfloat16:  # TF32 holds these
    small = _product(rest, wide)
  else:
    wide, rest_of_rows = _parts(wide)
    small = _product(kept, rest_of_rows) + _product(rest, wide)
  # A rest of 0 times infinity is not a number, though the product is none of these.
  return _product(kept, wide) + tf.where(tf.math.is_finite(small), small, 0.0)


def _is_rounded() -> bool:
  """Whether this process may multiply float32 as TF32."""
  return bool(tf.config.list_logical_devices("GPU")
              and tf.config.experimental.tensor_float_32_execution_enabled())


def _parts(values):
  """What TF32 holds of each number, and the rest; that of what is not finite is 0."""
  kept = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(values, tf.int32), _KEPT), tf.float32)
  return kept, tf.where(tf.math.is_finite(values), values - kept, 0.0)


def _product(queries, rows):
  return tf.matmul(queries, rows, transpose_b=True)
