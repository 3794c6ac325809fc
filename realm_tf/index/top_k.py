# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Exact maximum inner product search: the compiled op, and its pure-TF twin.

B queries, N documents, D projection, K candidates, R banned rows, C rows of the
table that the twin looks at at a time.
"""

import tensorflow as tf

from realm_tf.native import ops as _ops

# The twin holds [B, C] scores at a time.
_CHUNK_ROWS = 16384

# ... and the vectors of [B, 64] candidates.
_RESCORED_COLUMNS = 64

tf.no_gradient("Realm>TopKInnerProduct")
tf.no_gradient("Realm>ShadowedTopKInnerProduct")
tf.no_gradient("Realm>ShadowTable")


def shadow_table(table, name=None):
  """A table in eight bits with proven bounds, for `top_k_inner_product`.

  Takes N (P + 8) bytes, where P is D rounded up to a multiple of 32, and lets up to
  four queries read so much instead of the table. The proof is in
  `ops/top_k/shadow.h`.

  Args:
    table: [N, D] float32 or bfloat16.
    name: name of the operation.

  Returns:
    codes: [N, P] int8.
    bounds: [2, N] float32: scales, and bounds on the norms of what codes lose.
  """
  return tuple(_ops.realm_shadow_table(table=table, name=name))


def top_k_inner_product(queries, table, k, banned_rows=None, name=None, shadow=None):
  """Finds, for each query, the k rows with the largest dot products.

  Exact: the answer is that of a full sort by score, equal scores by row. The
  score is the dot product of the stored values, summed in double precision and
  rounded once to float32, so all CPUs give the same bits. The [B, N] matrix of
  scores is never made. Runs on the CPU; see `top_k_inner_product_portable` for
  other devices, and for graphs that must load without this op.

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
    shadow: `shadow_table` of this very table, or None. Changes no answer; up to
      four queries are answered sooner. That of another table makes wrong answers.
      Codes of no rows stand for None.

  Returns:
    scores: [B, K] float32, descending.
    rows: [B, K] int32.

  Raises:
    tf.errors.InvalidArgumentError: shapes do not fit, k is negative or too
      large, or a score is not a number. The message has the numbers.
  """
  queries, table, k, banned_rows = _as_tensors(queries, table, k, banned_rows)
  if shadow is None:
    return tuple(_ops.realm_top_k_inner_product(
        queries=queries, table=table, banned_rows=banned_rows, k=k, name=name))
  codes, bounds = shadow
  return tuple(_ops.realm_shadowed_top_k_inner_product(
      queries=queries, table=table, banned_rows=banned_rows, k=k, codes=codes,
      bounds=bounds, name=name))


def top_k_inner_product_portable(queries, table, k, banned_rows=None,
                                 name=None):
  """`top_k_inner_product` in stock TensorFlow ops: same contract, same answer.

  For GPU and TPU, and for exports that a stock TensorFlow Serving must load. It
  looks at the table in chunks of C rows and keeps the best k so far, so it makes
  no [B, N] matrix either: memory is O(B (C + K)).

  Candidates are chosen by a float32 matrix product and then scored as the op
  scores. So the answers differ only where more than k rows come within the
  rounding error of that product of the k-th score; TF32 and TPUs round its
  inputs unless told not to, and norms beyond 1e19 may overflow in it.

  Args, returns and raises: as `top_k_inner_product`.
  """
  with tf.name_scope(name or "top_k_inner_product_portable"):
    queries, table, k, banned_rows = _as_tensors(queries, table, k, banned_rows)
    queries = tf.cast(tf.stop_gradient(queries), tf.float32)
    table = tf.stop_gradient(table)
    banned_rows = tf.cast(banned_rows, tf.int64)
    with tf.control_dependencies(
        _shape_checks(queries, table, k, banned_rows)):
      queries = tf.identity(queries)
    banned_rows = _sorted_distinct(banned_rows, _rows(table))
    with tf.control_dependencies([_k_check(k, banned_rows, _rows(table))]):
      banned_rows = tf.identity(banned_rows)
    rows = _rows_of(_scan(queries, table, k, banned_rows))
    scores, rows = _rescore(queries, table, rows, k)
    shape = [queries.shape[0], tf.get_static_value(k)]
    return tf.ensure_shape(scores, shape), tf.ensure_shape(rows, shape)


def _as_tensors(queries, table, k, banned_rows):
  queries = tf.convert_to_tensor(queries)
  table = tf.convert_to_tensor(table)
  k = tf.convert_to_tensor(k)
  if k.dtype != tf.int32:  # else a constant must stay one, for static shapes
    k = tf.cast(k, tf.int32)
  if banned_rows is None:
    banned_rows = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
  return queries, table, k, tf.convert_to_tensor(banned_rows)


def _rows(table):
  return tf.shape(table, out_type=tf.int64)[0]


def _shape_checks(queries, table, k, banned_rows):
  for tensor, rank, wanted in ((queries, 2, "queries must be [B, D]"),
                               (table, 2, "table must be [N, D]"),
                               (banned_rows, 2, "banned_rows must be [B, R]"),
                               (k, 0, "k must be a scalar")):
    if tensor.shape.rank not in (None, rank):
      _refuse(f"{wanted}, but its shape is {tensor.shape}")
  q, t, b = tf.shape(queries), tf.shape(table), tf.shape(banned_rows)
  return [
      tf.debugging.Assert(tf.equal(q[1], t[1]), [
          "queries must be [B, D] and table [N, D] with the same D, but they are",
          q, t]),
      tf.debugging.Assert(tf.equal(b[0], q[0]), [
          "banned_rows must be [B, R] with the B of queries, but they are", b, q]),
      tf.debugging.Assert(k >= 0, ["k must not be negative, but is", k]),
  ]


def _refuse(message):
  """Raises what an op would, when run and when traced."""
  if tf.executing_eagerly():
    raise tf.errors.InvalidArgumentError(None, None, message)
  raise ValueError(message)


def _sorted_distinct(banned_rows, rows):
  """[B, R], ascending, with `rows` in place of what bans nothing."""
  in_range = (banned_rows >= 0) & (banned_rows < rows)
  ordered = tf.sort(tf.where(in_range, banned_rows, rows), axis=1)
  repeated = tf.concat([
      tf.zeros_like(ordered[:, :1], tf.bool), ordered[:, 1:] == ordered[:, :-1]
  ], axis=1)
  return tf.sort(tf.where(repeated, rows, ordered), axis=1)


def _k_check(k, banned_rows, rows):
  banned = tf.reduce_sum(tf.cast(banned_rows < rows, tf.int64), axis=1)  # [B]
  most = tf.reduce_max(tf.concat([banned, [0]], axis=0))
  return tf.debugging.Assert(tf.cast(k, tf.int64) <= rows - most, [
      "k is more than the rows left to a query: k, rows, banned =", k, rows,
      most])


# A score and a row in one int64, greater for the better pair: a higher score,
# or the same and a lower row. _NO_KEY is less than every key.
_NO_KEY = tf.int64.min
_LOW_WORD = 2**32 - 1


def _keys(scores, rows):
  bits = tf.bitcast(scores + 0.0, tf.int32)  # -0 becomes 0
  # The bits of negative floats rise with their magnitude: turn them round.
  order = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, tf.int32.max), bits)
  return tf.cast(order, tf.int64) * 2**32 + (_LOW_WORD - rows)


def _rows_of(keys):
  return _LOW_WORD - tf.bitwise.bitwise_and(keys, _LOW_WORD)


def _scan(queries, table, k, banned_rows):
  """The keys of the k best rows by float32 matrix product, [B, K]."""
  count = _rows(table)
  size = tf.minimum(count, _CHUNK_ROWS)  # C

  def step(start, best):
    # The last chunk reaches back, so that all have one shape; rows that were
    # seen before have no key.
    first = tf.minimum(start, count - size)
    rows = first + tf.range(size)  # [C]
    chunk = tf.cast(tf.slice(table, [first, 0], [size, -1]), tf.float32)
    scores = tf.matmul(queries, chunk, transpose_b=True)  # [B, C]
    with tf.control_dependencies([_refuse_nan(scores, first)]):
      keys = _keys(scores, rows)
    keys = tf.where(rows >= start, keys, tf.constant(_NO_KEY, tf.int64))
    keys = _without_banned(keys, banned_rows, first, size)
    best = tf.math.top_k(tf.concat([best, keys], axis=1), k).values
    return start + size, best

  batch = tf.shape(queries)[0]
  best = tf.fill([batch, k], tf.constant(_NO_KEY, tf.int64))
  return tf.while_loop(
      lambda start, _: start < count, step, [tf.constant(0, tf.int64), best],
      shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, None])],
      parallel_iterations=1)[1]


def _refuse_nan(scores, first):
  bad = tf.math.is_nan(scores)

  def fail():
    at = tf.where(bad)[0]
    return tf.debugging.Assert(False, [
        "the dot product of a query and a row of the table is not a number:",
        at[0], first + at[1]])

  return tf.cond(tf.reduce_any(bad), lambda: _done(fail()), lambda: _done(None))


def _done(operation):
  with tf.control_dependencies([] if operation is None else [operation]):
    return tf.constant(True)


def _without_banned(keys, banned_rows, first, size):
  """`keys` [B, C] of the rows from `first`, with none for the banned ones."""
  here = (banned_rows >= first) & (banned_rows < first + size)  # [B, R]
  # Bans of other chunks go to column 0 and leave it as it is.
  column = tf.where(here, banned_rows - first, 0)
  key = tf.where(here, tf.constant(_NO_KEY, tf.int64), tf.int64.max)
  line = tf.zeros_like(column) + tf.range(
      tf.shape(column, out_type=tf.int64)[0])[:, tf.newaxis]
  return tf.tensor_scatter_nd_min(keys, tf.stack([line, column], axis=-1), key)


def _rescore(queries, table, rows, k):
  """Scores `rows` [B, K] as the op does, and sorts them."""
  # A few columns at a time: [B, K, D] may be more than the table.
  width = tf.minimum(k, _RESCORED_COLUMNS)
  slices = tf.maximum(1, -(-k // tf.maximum(width, 1)))
  padded = tf.pad(rows, [[0, 0], [0, slices * width - k]])
  padded = tf.reshape(padded, [tf.shape(rows)[0], slices, width])
  wide_queries = tf.cast(queries, tf.float64)[:, tf.newaxis]  # [B, 1, D]

  def score(rows):  # [B, width]
    found = tf.cast(tf.gather(table, rows), tf.float64)  # [B, width, D]
    return tf.cast(tf.reduce_sum(found * wide_queries, axis=2), tf.float32)

  scores = tf.map_fn(score, tf.transpose(padded, [1, 0, 2]),
                     fn_output_signature=tf.TensorSpec([None, None], tf.float32),
                     parallel_iterations=1)
  scores = tf.reshape(tf.transpose(scores, [1, 0, 2]),
                      [tf.shape(rows)[0], slices * width])[:, :k]
  order = tf.math.top_k(_keys(scores, rows), k).indices
  return (tf.gather(scores, order, batch_dims=1),
          tf.cast(tf.gather(rows, order, batch_dims=1), tf.int32))
