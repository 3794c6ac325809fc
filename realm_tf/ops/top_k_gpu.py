# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Exact maximum inner product search: the compiled op for NVIDIA GPUs, where there is one.

B queries, N documents, D projection, K candidates, R banned rows, W = K + R.
"""

import functools
import os
from typing import Any

import tensorflow as tf

import realm_tf
from realm_tf.ops import library, top_k_twin

tf.no_gradient("Realm>TopKOnGpu")

_LIBRARY = os.path.join(os.path.dirname(realm_tf.__file__), "_realm_gpu_ops.so")


@functools.cache
def _ops() -> Any:
  """The module of the op, or None: no GPU, or not compiled, as without nvcc."""
  if not os.path.exists(_LIBRARY) or not tf.config.list_physical_devices("GPU"):
    return None
  return library.load_library(_LIBRARY)


def is_available() -> bool:
  """Whether `top_k_inner_product_gpu` can be called."""
  return _ops() is not None


def top_k_inner_product_gpu(queries, table, k, banned_rows=None, name=None):
  """`top_k_inner_product` on a GPU: same contract, same answer, to the bit.

  One kernel reads the table once for 64 queries and multiplies on tensor cores, and what the
  bound on their error does not decide is scored in double precision (`ops/top_k_gpu/`). The
  bound takes for granted that they round as was published and measured, which NVIDIA does
  not document (`docs/top_k.md`). Where it does not decide (scores that are not numbers,
  thousands of rows that are nearly alike, W above 1,024, rows of no whole 16 bytes), the twin
  does, within its limits.

  Works eagerly and in graphs that run where this op is loaded; XLA cannot compile it.

  Args, returns and raises: as `top_k_inner_product_portable`.
  """
  with tf.name_scope(name or "top_k_inner_product_gpu"):
    queries, table, k, banned_rows = top_k_twin.as_tensors(queries, table, k, banned_rows)
    queries, table = tf.stop_gradient(queries), tf.stop_gradient(table)
    shape = [queries.shape[0], tf.get_static_value(k)]
    queries, k, banned_rows = top_k_twin.checked(queries, table, k, banned_rows)
    count = tf.shape(table)[0]
    with tf.control_dependencies([tf.debugging.Assert(
        k <= count, ["k is more than the rows of the table: k, rows =", k, count])]):
      width = tf.minimum(k + tf.shape(banned_rows)[1], count)
    scores, rows, problem = _ops().realm_top_k_on_gpu(queries=queries, table=table,
                                                      width=width)
    scores, rows = tf.cond(
        tf.equal(problem, 0), lambda: _without_banned(scores, rows, banned_rows, k, table),
        lambda: top_k_twin.top_k_inner_product_portable(queries, table, k, banned_rows))
    return tf.ensure_shape(scores, shape), tf.ensure_shape(rows, shape)


def _without_banned(scores, rows, banned_rows, k, table):
  """The first K of [B, W] that are not banned, in order."""
  if banned_rows.shape[1] == 0:
    return scores, rows
  bans = top_k_twin.ordered_bans(banned_rows, tf.shape(rows)[0], tf.shape(table)[0])
  with tf.control_dependencies([top_k_twin.k_check(k, bans, tf.shape(table)[0])]):
    free = top_k_twin.is_free(rows, bans)
  # The places of those that are free, the first first.
  width = tf.shape(rows)[1]
  order = tf.where(free, width - tf.range(width), 0)
  place = tf.math.top_k(order, k).indices
  return (tf.gather(scores, place, batch_dims=1), tf.gather(rows, place, batch_dims=1))
