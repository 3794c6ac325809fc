# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""What a GPU computes, on a CPU: `python -m pytest -p tests.as_on_gpu tests/models`.

Models compute by stock operations, on padded rows, and the twin searches as on accelerators.
What fails so fails on a GPU too; what a GPU rounds, places and compiles is not in it.
"""

import realm_tf  # noqa: F401  # isort: skip
from realm_tf.ops import library, top_k_twin

library.can_compute = lambda dtype: False
top_k_twin._on_accelerator = lambda: True
