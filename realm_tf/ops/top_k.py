# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Exact maximum inner product search: the compiled op.

B queries, N documents, D projection, K candidates, R banned rows.
"""

import tensorflow as tf

from realm_tf.ops import library, top_k_gpu
from realm_tf.ops.library import ops as _ops
from realm_tf.ops.top_k_twin import as_tensors, top_k_inner_product_portable

tf.no_gradient("Realm>TopKInnerProduct")
tf.no_gradient("Realm>ShadowedTopKInnerProduct")


def top_k_inner_product(queries, table, k, banned_rows=None, name=None, shadow=None):
  """Finds, for each query, the k rows with the largest dot products.

  Exact: the answer is that of a full sort by score, equal scores by row. The
  score is the dot product of the stored values, summed in double precision and
  rounded once to float32, so all CPUs give the same bits. The [B, N] matrix of
  scores is never made. Runs on the CPU; inside of `portable()` it is
  `top_k_inner_product_portable`, for other devices and for graphs that must load
  without this op.

  Not differentiable: encode the K documents again and score them to have
  gradients.

  Args:
    queries: [B, D] float32 or bfloat16.
    table: [N, D] float32 or bfloat16; need not be that of `queries`.
    k: int or int32 scalar, at most N less the rows banned for any one query.
    banned_rows: [B, R] int32 or int64, rows that the query must not get. What
      is not in [0, N) bans nothing; -1 is the usual filler. R may be 0, and
      None stands for that.
    name: name of the operation.
    shadow: `ops.shadow.shadow_table` of this very table, or None. Changes no answer; up to
      four queries are answered sooner. That of another table makes wrong answers.
      Codes of no rows stand for None.

  Returns:
    scores: [B, K] float32, descending.
    rows: [B, K] int32.

  Raises:
    tf.errors.InvalidArgumentError: shapes do not fit, k is negative or too
      large, or a score is not a number. The message has the numbers.
  """
  if library.is_portable():
    return top_k_inner_product_portable(queries, table, k, banned_rows, name)
  queries, table, k, banned_rows = as_tensors(queries, table, k, banned_rows)
  if shadow is None:
    return tuple(_ops.realm_top_k_inner_product(
        queries=queries, table=table, banned_rows=banned_rows, k=k, name=name))
  codes, bounds = shadow
  return tuple(_ops.realm_shadowed_top_k_inner_product(
      queries=queries, table=table, banned_rows=banned_rows, k=k, codes=codes,
      bounds=bounds, name=name))


def search_on(device):
  """`top_k_inner_product`, or what is the same on a device: "CPU:0", "GPU:1", "TPU:0".

  XLA compiles none but the twin, which is this inside of `portable()`.
  """
  if device.startswith("CPU"):
    return top_k_inner_product
  has_op = device.startswith("GPU") and top_k_gpu.is_available()
  if has_op and not library.is_portable():
    return top_k_gpu.top_k_inner_product_gpu
  return top_k_inner_product_portable
