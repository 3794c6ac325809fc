# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Imports realm_tf first: it must choose Keras 2 before TensorFlow loads."""

import realm_tf  # noqa: F401  # isort: skip
import tensorflow as tf

# Two devices where there is one processor, for what must not depend on their number.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
