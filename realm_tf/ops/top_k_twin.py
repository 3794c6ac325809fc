# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Exact maximum inner product search in stock TensorFlow ops: the twin of our op.

B queries, N documents, D projection, K candidates, R banned rows, W rows that each query
wants before bans, C rows of the table that are looked at at a time.
"""

import numpy as np
import tensorflow as tf

from realm_tf.ops.full_products import float32_products

# The twin holds [B, C] scores at a time: so many rows, or more of them for fewer queries
# where the device is one that waits for each operation to be launched.
_CHUNK_ROWS = 16384
_CHUNK_SCORES = 2**24

# Of so many rows the twin takes the best first: what is among the first W is in one of the
# W groups with the best firsts.
_GROUP_ROWS = 64

# ... and the vectors of [B, 64] candidates.
_RESCORED_COLUMNS = 64

_NONE = tf.int32.max  # in place of a row

_FLOATS = (tf.float32, tf.bfloat16)
_INTEGERS = (tf.int32, tf.int64)

# What brings numbers of each binary exponent near 1, then sums of 2^22 products below it.
# The second divides and is in a table: else graphs multiply it with the first, which may be
# as small as a number can be.
_POWERS = np.stack([2.0 ** np.arange(126, -127, -1), np.full(253, 2.0**24)], 1).astype(
    np.float32)


def top_k_inner_product_portable(queries, table, k, banned_rows=None,
                                 name=None):
  """`top_k_inner_product` in stock TensorFlow ops: same contract, same answer.

  For GPU and TPU, and for exports that a stock TensorFlow Serving must load. It
  looks at the table in chunks of C rows and keeps the best so far, so it makes
  no [B, N] matrix either: memory is O(B (C + K + R)).

  Candidates are chosen by a float32 matrix product and then scored as the op
  scores. So the answers differ only where more than k rows come within the
  rounding error of that product of the k-th score. TF32 is no matter
  (`full_products`); TPUs round its inputs unless told not to, and components below 1e-30,
  and scores below 1.2e-38, may count as zeros.

  Works in TF1 graphs, in `tf.vectorized_map` and under `jit_compile=True`. XLA
  drops assertions: shapes that do not fit, and k above N, are errors when it
  compiles, but what depends on values does not raise. There a score that is not
  a number comes first, as NaN, and where bans leave fewer than k rows, the places
  that are left over have row -1 and score -inf.

  Args, returns and raises: as `top_k_inner_product`; of a wrong type or rank, a
  graph that is traced raises `ValueError` at once.
  """
  with tf.name_scope(name or "top_k_inner_product_portable"):
    queries, table, k, banned_rows = as_tensors(queries, table, k, banned_rows)
    shape = [queries.shape[0], tf.get_static_value(k)]
    queries, table = tf.stop_gradient(queries), tf.stop_gradient(table)
    queries, k, banned_rows = checked(queries, table, k, banned_rows)
    bans = ordered_bans(banned_rows, tf.shape(queries)[0], tf.shape(table)[0])
    with tf.control_dependencies([k_check(k, bans, tf.shape(table)[0])]):
      queries = tf.identity(queries)
    width = tf.maximum(1, k + tf.shape(banned_rows)[1])
    scores, rows = _scan(_scaled(queries), table, width)
    with tf.control_dependencies([_nan_check(scores, rows, k)]):
      rows = _free_rows(rows, bans, k)
    scores, rows = _rescore(queries, table, rows, k)
    return tf.ensure_shape(scores, shape), tf.ensure_shape(rows, shape)


def as_tensors(queries, table, k, banned_rows):
  """The arguments of a search as tensors; no bans are bans of no rows."""
  queries = tf.convert_to_tensor(queries)
  table = tf.convert_to_tensor(table)
  k = tf.convert_to_tensor(k)
  if k.dtype != tf.int32:  # else a constant must stay one, for static shapes
    k = tf.cast(k, tf.int32)
  if banned_rows is None:
    banned_rows = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
  return queries, table, k, tf.convert_to_tensor(banned_rows)


def checked(queries, table, k, banned_rows):
  """Queries as float32, k and bans, all of which wait for checks of shapes."""
  _check_types_and_ranks(queries, table, k, banned_rows)
  queries = tf.cast(queries, tf.float32)
  with tf.control_dependencies(_shape_checks(queries, table, k, banned_rows)):
    return tf.identity(queries), tf.identity(k), tf.identity(banned_rows)


def _check_types_and_ranks(queries, table, k, banned_rows):
  for tensor, rank, dtypes, expected in (
      (queries, 2, _FLOATS, "queries must be [B, D] float32 or bfloat16"),
      (table, 2, _FLOATS, "table must be [N, D] float32 or bfloat16"),
      (banned_rows, 2, _INTEGERS, "banned_rows must be [B, R] int32 or int64"),
      (k, 0, _INTEGERS, "k must be a scalar")):
    if tensor.shape.rank not in (None, rank) or tensor.dtype not in dtypes:
      _refuse(f"{expected}, but it is {tensor.shape} {tensor.dtype.name}")


def _refuse(message):
  """Raises what an op would, when run and when traced."""
  if tf.executing_eagerly():
    raise tf.errors.InvalidArgumentError(None, None, message)
  raise ValueError(message)


def _shape_checks(queries, table, k, banned_rows):
  q, t, b = tf.shape(queries), tf.shape(table), tf.shape(banned_rows)
  return [
      tf.debugging.Assert(tf.equal(q[1], t[1]), [
          "queries must be [B, D] and table [N, D] with the same D, but they are",
          q, t]),
      tf.debugging.Assert(tf.equal(b[0], q[0]), [
          "banned_rows must be [B, R] with the B of queries, but they are", b, q]),
      tf.debugging.Assert(k >= 0, ["k must not be negative, but is", k]),
  ]


def ordered_bans(banned_rows, batch, rows):
  """[B, R + 1] int32, ascending, with `rows` in place of what bans nothing, and last."""
  width = banned_rows.shape[1]
  # XLA has no assertions, but shapes that do not fit are an error there too.
  banned_rows = tf.reshape(banned_rows, [batch, tf.shape(banned_rows)[1]])
  in_range = (banned_rows >= 0) & (banned_rows < tf.cast(rows, banned_rows.dtype))
  banned_rows = tf.where(in_range, tf.cast(banned_rows, tf.int32), rows)
  bans = tf.concat([tf.sort(banned_rows, axis=1), tf.fill([batch, 1], rows)], axis=1)
  return tf.ensure_shape(bans, [None, None if width is None else width + 1])


def k_check(k, bans, rows):
  """That each query has k rows left."""
  distinct = tf.not_equal(bans[:, 1:], bans[:, :-1])
  banned = tf.reduce_sum(tf.cast(distinct, tf.int32), axis=1)  # [B]
  most = tf.reduce_max(tf.concat([banned, [0]], axis=0))
  return tf.debugging.Assert(k <= rows - most, [
      "k is more than the rows left to a query: k, rows, banned =", k, rows,
      most])


def _scan(scaled, table, width):
  """Scores and rows [B, W] for `_scaled` queries, best first, equals by row."""
  rows = tf.shape(table)[0]
  width = tf.minimum(width, rows)
  chunk = tf.minimum(_chunk_rows(scaled[0]), rows)
  # What whole chunks leave over, and a place for each of W rows.
  first = width + (rows - width) % tf.maximum(1, chunk)
  best, best_rows = tf.math.top_k(_products(scaled, table[:first]), width)

  def step(start, best, best_rows):
    # To XLA, a shape is a constant inside of a loop, and what is made of it before is not.
    width = tf.shape(best)[1]
    size = tf.minimum(_chunk_rows(scaled[0]), tf.shape(table)[0])
    scores = _products(scaled, tf.slice(table, [start, 0], [size, -1]))
    if _on_accelerator():
      scores, places = _best_groups(scores, width)
    else:
      places = tf.zeros_like(best_rows[:, :1]) + tf.range(size)
    rows = tf.concat([best_rows, start + places], axis=1)
    best, place = tf.math.top_k(tf.concat([best, scores], axis=1), width)
    return start + size, best, tf.gather(rows, place, batch_dims=1)

  any_shape = tf.TensorShape([None, None])
  return tf.while_loop(
      lambda start, *_: start < rows, step, [first, best, best_rows],
      shape_invariants=[tf.TensorShape([]), any_shape, any_shape],
      parallel_iterations=1)[1:]


def _on_accelerator():
  """Whether launching an operation costs more than what a small one does."""
  return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def _chunk_rows(queries):
  """C, for [B, D] queries."""
  if not _on_accelerator():
    return _CHUNK_ROWS
  return tf.maximum(_CHUNK_ROWS, _CHUNK_SCORES // tf.maximum(1, tf.shape(queries)[0]))


def _best_groups(scores, width):
  """What can be among the W best of scores [B, C], equals by place: those, and the places.

  To sort all is dear, and the maxima of groups of neighbours are not. What is among the W
  best has fewer than W groups before its own, so it is in one of the W best groups.
  """
  size = tf.shape(scores)[1]
  group = tf.clip_by_value(size // (8 * tf.maximum(1, width)), 2, _GROUP_ROWS)
  groups = -(-size // group)
  padded = tf.pad(scores, [[0, 0], [0, groups * group - size]], constant_values=-np.inf)
  padded = tf.reshape(padded, [-1, groups, group])
  best = tf.math.top_k(tf.reduce_max(padded, axis=2), tf.minimum(width, groups)).indices
  best = tf.sort(best, axis=1)  # else equals would not stand by place
  count = tf.shape(best)[1] * group
  places = best[:, :, tf.newaxis] * group + tf.range(group)
  return (tf.reshape(tf.gather(padded, best, batch_dims=1), [-1, count]),
          tf.reshape(places, [-1, count]))


def _products(scaled, chunk):
  """`_scaled` queries, rows [C, D] -> scores [B, C] on the scale of each query.

  They are infinite where they are not a number, and nowhere else: what float32 cannot
  hold is at its limit, where such scores are equal.
  """
  queries, limit = scaled
  scores = float32_products(queries, chunk)
  finite = _one_zero(tf.clip_by_value(scores, -limit, limit))
  return tf.where(tf.math.is_nan(scores), np.inf, finite)


def _one_zero(scores):
  # Some devices sort -0 below 0. An addition of 0 would be optimised away.
  return tf.where(tf.equal(scores, 0), 0.0, scores)


def _scaled(queries):
  """Queries times powers of two, so that no finite product overflows; largest scores.

  Returns:
    queries: [B, D] float32.
    limit: [B, 1] float32: what the largest float32 is on that scale, or that itself.
  """
  largest = tf.reduce_max(tf.abs(queries), axis=1, keepdims=True)
  exponent = tf.math.log(tf.clip_by_value(largest, 2.0**-126, 2.0**126)) / np.log(2)
  place = tf.clip_by_value(126 + tf.cast(exponent, tf.int32), 0, 252)
  power, margin = (tf.gather(_POWERS[:, i], place) for i in (0, 1))
  limit = tf.minimum(tf.float32.max / margin * power, tf.float32.max)
  return queries * power / margin, limit


def _nan_check(scores, rows, k):
  """Of what `_scan` found; where nothing is asked for, nothing is refused."""
  width = tf.maximum(tf.shape(rows)[1], 1)
  bad = tf.reshape(tf.equal(scores, np.inf), [-1])
  at = tf.argmax(tf.concat([tf.cast(bad, tf.int32), [0]], 0), output_type=tf.int32)
  return tf.debugging.Assert(tf.equal(k, 0) | ~tf.reduce_any(bad), [
      "the dot product of a query and a row of the table is not a number:",
      at // width, tf.concat([tf.reshape(rows, [-1]), [-1]], 0)[at]])


def is_free(rows, bans):
  """[B, W]: whether `ordered_bans` do not have them."""
  place = tf.raw_ops.LowerBound(sorted_inputs=bans, values=rows, out_type=tf.int32)
  return tf.not_equal(tf.gather(bans, place, batch_dims=1), rows)


def _free_rows(rows, bans, k):
  """The first K of [B, W] rows that are not banned, ascending; _NONE where there are less."""
  if bans.shape[1] == 1:  # R is 0
    return tf.sort(rows[:, :k], axis=1)
  free = is_free(rows, bans)
  free &= tf.cumsum(tf.cast(free, tf.int32), axis=1) <= k
  return tf.sort(tf.where(free, rows, _NONE), axis=1)[:, :k]


def _rescore(queries, table, rows, k):
  """Scores `rows` [B, K], ascending, as the op does, and sorts them."""
  missing = tf.equal(rows, _NONE)
  rows = tf.where(missing, 0, rows)
  # A few columns at a time: [B, K, D] may be more than the table.
  width = tf.maximum(1, tf.minimum(k, _RESCORED_COLUMNS))
  parts = tf.maximum(1, -(-k // width))
  batch = tf.shape(rows)[0]
  padded = tf.pad(rows, [[0, 0], [0, parts * width - k]])
  padded = tf.reshape(padded, [batch, parts, width])
  padded = tf.transpose(padded, [1, 0, 2])
  wide_queries = tf.cast(queries, tf.float64)[:, tf.newaxis]  # [B, 1, D]

  def score(part, scores):
    wide_rows = tf.cast(tf.gather(table, tf.gather(padded, part)), tf.float64)
    wide_rows = tf.cast(tf.reduce_sum(wide_rows * wide_queries, axis=2), tf.float32)
    return part + 1, tf.tensor_scatter_nd_update(scores, [[part]], [wide_rows])

  scores = tf.while_loop(lambda part, _: (part * width < k) & (batch > 0), score,
                         [0, tf.zeros(tf.shape(padded))], parallel_iterations=1)[1]
  scores = tf.reshape(tf.transpose(scores, [1, 0, 2]), [batch, parts * width])[:, :k]
  scores = _one_zero(tf.where(missing, -np.inf, scores))
  # Some devices sort -NaN below all else.
  scores = tf.where(tf.math.is_nan(scores), np.nan, scores)
  scores, place = tf.math.top_k(scores, k)  # which keeps the order of equals
  return scores, tf.gather(tf.where(missing, -1, rows), place, batch_dims=1)
