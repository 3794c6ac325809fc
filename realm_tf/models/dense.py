"""What models are made of: dense layers whose variables are there already, and their norm."""

import tensorflow as tf
import tf_keras

from realm_tf.ops import transformer


def initializer() -> tf_keras.initializers.Initializer:
  return tf_keras.initializers.TruncatedNormal(stddev=0.02)


def dense(inputs: int, outputs: int, name: str, **options) -> tf_keras.layers.Dense:
  """A dense layer of Keras whose variables are there already."""
  layer = tf_keras.layers.Dense(outputs, name=name, **options)
  with tf.name_scope(name):
    layer.build([None, inputs])
  return layer


class Norm(tf_keras.layers.Layer):
  """Layer normalisation over the last axis."""

  def __init__(self, epsilon: float, size: int, **kwargs):
    super().__init__(**kwargs)
    self.epsilon = epsilon
    with tf.name_scope(self.name):
      self.gamma = self.add_weight("gamma", [size], initializer="ones")
      self.beta = self.add_weight("beta", [size], initializer="zeros")
    self.built = True

  def call(self, x: tf.Tensor) -> tf.Tensor:
    return transformer.normalised(x, self.gamma, self.beta, self.epsilon)


class Weights(tf_keras.layers.Layer):
  """Kernel and bias of a dense layer inside a BERT, which multiplies by them itself."""

  def __init__(self, inputs: int, outputs: int, name: str):
    super().__init__(name=name)
    with tf.name_scope(name):
      self.kernel = self.add_weight("kernel", [inputs, outputs],
                                    initializer=initializer())
      self.bias = self.add_weight("bias", [outputs], initializer="zeros")
    self.built = True
