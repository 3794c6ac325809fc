# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""Imports realm_tf first: it must choose Keras 2 before TensorFlow loads."""

import realm_tf  # noqa: F401
