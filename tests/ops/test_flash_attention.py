"""Attention by cuDNN: what XLA is told on any machine, and what comes of it on a GPU."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.ops.flash_attention import Flash
from realm_tf.ops.transformer import Portable

_LENGTHS = [40, 7, 1]


def _inputs(units=16, dtype=tf.bfloat16):
  rng = np.random.default_rng(0)
  rows = [tf.constant(rng.normal(size=[3, 2, 40, units]), dtype) for _ in range(4)]
  return *rows, tf.sequence_mask(_LENGTHS, 40)


def _outcome(kernels, query, key, value, upstream, mask):
  """What attention mixes of the tokens, and its gradients."""
  is_token = tf.cast(mask, query.dtype)[:, None, :, None]
  with tf.GradientTape() as tape:
    tape.watch([query, key, value])
    mixed = kernels.attend(query, key, value, mask) * is_token
  return mixed, *tape.gradient(mixed, [query, key, value], upstream)


def test_forward_and_backward_are_calls_of_cudnn():
  function = tf.function(lambda *inputs: _outcome(Flash, *inputs), jit_compile=True)
  program = function.experimental_get_compiler_ir(*_inputs())(stage="hlo")
  assert program.count('custom_call_target="__cudnn$fmhaSoftmax"') == 1
  assert program.count('custom_call_target="__cudnn$fmhaSoftmaxBackward"') == 1
  assert '"fmha_scale": 0.25' in program and '"mask_type": "PADDING"' in program
  assert "bf16[3,2,40,40]" not in program  # no scores


@pytest.mark.parametrize("units, dtype, shape", [
    (16, tf.float32, [3, 2, 40, 16]), (12, tf.bfloat16, [3, 2, 40, 12]),
    (16, tf.bfloat16, [None, 2, None, 16])])
def test_where_cudnn_has_no_kernel_it_is_stock_operations(units, dtype, shape):
  query, key, value, _, mask = _inputs(units, dtype)
  rows, of_mask = tf.TensorSpec(shape, dtype), tf.TensorSpec([shape[0], shape[2]], tf.bool)
  actual, expected = (
      tf.function(kernels.attend, input_signature=[rows, rows, rows, of_mask])(
          query, key, value, mask) for kernels in (Flash, Portable))
  np.testing.assert_array_equal(actual, expected)


@pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="needs a GPU")
def test_it_is_attention():
  *rows, mask = _inputs()
  actual = tf.function(lambda *inputs: _outcome(Flash, *inputs), jit_compile=True)(
      *rows, mask)
  expected = _outcome(Portable, *(tf.cast(part, tf.float32) for part in rows), mask)
  for a, b in zip(actual, expected, strict=True):
    a = tf.cast(a, tf.float32).numpy()
    assert np.linalg.norm(a - b) < 0.02 * np.linalg.norm(b)
