# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""The update of AdamW in one pass over memory; its twin is Keras's Adam."""

import tensorflow as tf

from realm_tf.ops.library import ops


def adam_w(value: tf.Variable, m: tf.Variable, v: tf.Variable, gradient: tf.Tensor, *,
           rate: tf.Tensor, decay: tf.Tensor, scale: tf.Tensor, beta1: float, beta2: float,
           epsilon: float) -> tf.Operation:
  """Updates a float32 variable and its moments (Loshchilov & Hutter 2019), on CPUs.

      m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,  g = scale gradient
      value <- value - decay value - rate m / (sqrt(v) + epsilon)

  Args:
    value, m, v, gradient: of one shape, any, float32.
    rate: scalar float32, with the correction of the moments' bias.
    decay: scalar float32, with the learning rate.
    scale: scalar float32, by which gradients are clipped.
    beta1, beta2, epsilon: see above.

  Raises:
    tf.errors.InvalidArgumentError: shapes or types do not fit.
  """
  return ops.realm_resource_adam_w(
      value=value.handle, m=m.handle, v=v.handle, grad=gradient, rate=rate, decay=decay,
      scale=scale, beta1=beta1, beta2=beta2, epsilon=epsilon)


@tf.function(jit_compile=True, autograph=False)
def sum_of_squares(tensors: list[tf.Tensor]) -> tf.Tensor:
  """Of all elements of tensors of any shapes and one float type, a scalar of that type;
  compiled by XLA."""
  return tf.add_n([tf.reduce_sum(tf.square(tensor)) for tensor in tensors])


@tf.function(jit_compile=True, autograph=False)
def adam_w_by_xla(values: list[tf.Variable], ms: list[tf.Variable], vs: list[tf.Variable],
                  gradients: list[tf.Tensor], *, rates: tf.Tensor, decays: tf.Tensor,
                  scale: tf.Tensor, beta1: float, beta2: float, epsilon: float) -> None:
  """As `adam_w`, of several variables, by XLA: each variable is one pass over memory.

  It is compiled once for all lists of the same shapes. `rates` and `decays` are float32 and
  have an element for each variable.
  """
  for i, (value, m, v, gradient) in enumerate(zip(values, ms, vs, gradients, strict=True)):
    gradient *= scale
    new_m = m + (1 - beta1) * (gradient - m)
    new_v = v + (1 - beta2) * (tf.square(gradient) - v)
    value.assign_sub(decays[i] * value + rates[i] * new_m / (tf.sqrt(new_v) + epsilon))
    m.assign(new_m)
    v.assign(new_v)
