"""Attention by cuDNN (FlashAttention-2, Dao 2023, arXiv 2307.08691), inside of what XLA
compiles for a GPU: scores are never in memory.

XLA knows cuDNN's kernels as custom calls, whose `backend_config` is its protocol buffer
`GpuBackendConfig` in JSON; JAX calls them so, too. Shape letters: B sequences, T tokens, A
heads, D units of a head.
"""

import json
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops

from realm_tf.ops.transformer import Portable

_FORWARD, _BACKWARD = "__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward"
# Each product of attention, left with right: the contracted axis of both. All are batched
# over B and A.
_FORWARD_PRODUCTS = {"bmm1": (3, 3), "bmm2": (3, 2)}
_BACKWARD_PRODUCTS = {"bmm1_grad_gemm1": (2, 2), "bmm1_grad_gemm2": (3, 2),
                      "bmm2_grad_gemm1": (2, 2), "bmm2_grad_gemm2": (3, 3)}


class Flash(Portable):
  """`Portable` with attention by cuDNN, where it has a kernel; padding is behind tokens."""

  @staticmethod
  def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor
             ) -> tf.Tensor:
    units = query.shape[-1]
    if (query.dtype != tf.bfloat16 or units > 128 or units % 8
        or not query.shape.is_fully_defined()):
      return Portable.attend(query, key, value, mask)
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    return flash_attention(query, key, value, tf.maximum(lengths, 1))


def flash_attention(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, lengths: tf.Tensor
                    ) -> tf.Tensor:
  """softmax(Q K' / sqrt(D)) V of the first tokens of each sequence.

  Args:
    query, key, value: [B, A, T, D] bfloat16, of a static shape.
    lengths: [B] int32, how many tokens a sequence has, at least 1.

  Returns:
    [B, A, T, D] bfloat16; behind a sequence's tokens it is zeros.
  """
  shape = query.shape.as_list()
  both = [lengths, lengths]

  @tf.custom_gradient
  def attend(query, key, value):
    context, normalisers = _call(
        _FORWARD, _FORWARD_PRODUCTS, [query, key, value, *both], shape,
        [(tf.bfloat16, shape), (tf.float32, shape[:3])])

    def gradient(upstream):
      return _call(_BACKWARD, _BACKWARD_PRODUCTS,
                   [query, key, value, normalisers, upstream, context, *both], shape,
                   [(tf.bfloat16, shape)] * 3)

    return context, gradient

  return attend(query, key, value)


def _call(target: str, products: dict[str, tuple[int, int]], operands: list[tf.Tensor],
          shape: list[int], results: list[tuple[tf.DType, list[int]]]) -> list[tf.Tensor]:
  dtypes, shapes = zip(*results, (tf.uint8, [0]))  # the last is a workspace, sized by XLA
  return gen_xla_ops.xla_custom_call_v2(
      operands, target, json.dumps(_config(products, shape)), False, dtypes, shapes)[:-1]


def _config(products: dict[str, tuple[int, int]], shape: list[int]) -> dict[str, Any]:
  batch, heads, length, units = shape
  batched = {f"{side}_batch_dimensions": ["0", "1"] for side in ("lhs", "rhs")}
  return {"operation_queue_id": "0", "wait_on_operation_queues": [],
          "cudnn_fmha_backend_config": {
      "algorithm": {"algo_id": "0", "math_type": "TENSOR_OP_MATH",
                    "tuning_knobs": {"17": "1", "24": "0"}, "is_cudnn_frontend": True,
                    "workspace_size": "0"},
      "fmha_scale": units ** -0.5, "dropout_rate": 0.0, "seed": 42,
      "is_flash_attention": True, "mask_type": "PADDING", "sliding_window_length": 0,
      "intermediate_tensor_shape": {
          "element_type": "BF16",
          "dimensions": [str(size) for size in (batch, heads, length, length)],
          "layout": {"minor_to_major": ["3", "2", "1", "0"]},
          "is_dynamic_dimension": [False] * 4},
      **{f"{name}_dot_dimension_numbers": {
          "lhs_contracting_dimensions": [str(left)],
          "rhs_contracting_dimensions": [str(right)], **batched}
         for name, (left, right) in products.items()}}}
