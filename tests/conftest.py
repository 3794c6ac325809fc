# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Imports realm_tf first: it must choose Keras 2 before TensorFlow loads."""

import realm_tf  # noqa: F401  # isort: skip
import hypothesis
import pytest
import tensorflow as tf

from realm_tf.distribute.strategy import make_strategy
from realm_tf.ops.compiling import set_compiling, set_xla_flags

# A busy machine takes as long as it takes; tests/fuzz has profiles of its own on top.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[
    hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
# Two devices where there is one processor, for what must not depend on their number.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
# On a GPU each shape would be compiled, seconds each: what is compiled has tests of its own.
# And what is compared with other code's float32 must be as exact.
set_compiling("off")
tf.config.experimental.enable_tensor_float_32_execution(False)
# XLA reads its flags once: where a test that has it compile something by itself comes first,
# layers would run as CUDA graphs afterwards, which end when another thread uses the card.
if tf.config.list_physical_devices("GPU"):
  set_xla_flags()


@pytest.fixture(name="mirrored", scope="session")
def _mirrored():
  # One for all: TensorFlow confuses the collectives of two strategies in one process. One
  # GPU is no two replicas.
  strategy = (tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
              if tf.config.list_logical_devices("GPU") else make_strategy("mirrored"))
  assert strategy.num_replicas_in_sync == 2
  return strategy
