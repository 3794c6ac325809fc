# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""A table in eight bits with proven bounds, for `top_k_inner_product`. It has no twin.

N documents, D projection.
"""

import tensorflow as tf

from realm_tf.ops.library import ops

tf.no_gradient("Realm>ShadowTable")


def shadow_table(table):
  """The shadow of a table.

  Takes N (P + 8) bytes, where P is D rounded up to a multiple of 32, and lets up to
  four queries read so much instead of the table. The proof is in
  `ops/top_k/shadow.h`.

  Args:
    table: [N, D] float32 or bfloat16.

  Returns:
    codes: [N, P] int8.
    bounds: [2, N] float32: scales, and bounds on the norms of what codes lose.
  """
  return tuple(ops.realm_shadow_table(table=table))
