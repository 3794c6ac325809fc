# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The searches that benchmarks/top_k.py compares: our op, and whatever is installed.

What `prepare` does is not timed. One that cannot be imported is left out.
"""

import importlib.util

import realm_tf  # noqa: F401  chooses Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import tensorflow as tf
from top_k_measure import Method

from realm_tf.index.exact import ExactIndex
from realm_tf.ops.top_k import top_k_inner_product

_BANNED = 32  # rows of each query, at random


def _ours(table_type, query_type, shadow=False, bans=0):
  def prepare(table):
    index = ExactIndex(dtype=table_type, shadow=shadow)
    index.assign(table, step=0)
    banned = np.random.default_rng(0).integers(len(table), size=(4096, bans), dtype=np.int32)
    banned = tf.constant(banned)
    find = tf.function(
        lambda queries, k: index.search(queries, k, banned[:tf.shape(queries)[0]]),
        input_signature=[tf.TensorSpec([None, None], query_type),
                         tf.TensorSpec([], tf.int32)])
    return lambda queries, k: find(tf.cast(queries, query_type), k)[1].numpy()
  return prepare


def in_place() -> Method:
  """The op on a table that TensorFlow reads where NumPy has it."""
  def prepare(table):
    bits = tf.experimental.dlpack.from_dlpack(table.view(np.uint16).__dlpack__())
    table = tf.bitcast(bits, tf.bfloat16)
    return lambda queries, k: top_k_inner_product(queries, table, k)[1].numpy()
  return Method("realm_tf, bfloat16 table", prepare)


def _tensorflow(dtype):
  def prepare(table):
    table = tf.cast(table, dtype)
    find = tf.function(lambda queries, k: tf.math.top_k(
        tf.matmul(queries, table, transpose_b=True), k), input_signature=[
            tf.TensorSpec([None, None], dtype), tf.TensorSpec([], tf.int32)])
    return lambda queries, k: find(tf.cast(queries, dtype), k)[1].numpy()
  return prepare


def _scann_brute_force(table):
  import scann
  builder = scann.scann_ops_pybind.builder(table, 8, "dot_product")
  return _scann_search(builder.score_brute_force().build())


def _scann_tree(table):
  import scann
  leaves = int(np.sqrt(len(table)))
  searcher = scann.scann_ops_pybind.builder(table, 8, "dot_product").tree(
      num_leaves=leaves, num_leaves_to_search=max(1, leaves // 20),
      training_sample_size=min(len(table), 100_000)).score_ah(
          2, anisotropic_quantization_threshold=0.2).reorder(100).build()
  return _scann_search(searcher)


def _scann_search(searcher):
  def search(queries, k):
    find = searcher.search_batched if len(queries) == 1 else searcher.search_batched_parallel
    return find(queries, final_num_neighbors=k)[0]
  return search


def ours() -> list[Method]:
  """Our op, by dtype of table and queries; the first one's rows are the truth."""
  float32, bfloat16 = tf.float32, tf.bfloat16
  return [Method("realm_tf, float32", _ours(float32, float32)),
          Method("realm_tf, bfloat16 table", _ours(bfloat16, float32)),
          Method("realm_tf, bfloat16, banned rows", _ours(bfloat16, float32, bans=_BANNED)),
          Method("realm_tf, bfloat16", _ours(bfloat16, bfloat16)),
          Method("realm_tf, float32 + shadow", _ours(float32, float32, True)),
          Method("realm_tf, bfloat16 + shadow", _ours(bfloat16, float32, True))]


def installed_peers() -> list[Method]:
  """Everything else of TensorFlow's; `top_k_foreign` has the others."""
  peers = [
      ("tensorflow", Method("tf.matmul + top_k, float32", _tensorflow(tf.float32))),
      ("tensorflow", Method("tf.matmul + top_k, bfloat16", _tensorflow(tf.bfloat16))),
      ("scann", Method("ScaNN brute force", _scann_brute_force)),
      ("scann", Method("ScaNN tree + AH + reorder", _scann_tree)),
  ]
  return [method for package, method in peers
          if importlib.util.find_spec(package)]


# The row that ratios are taken against.
BASELINE = "tf.matmul + top_k, float32"
