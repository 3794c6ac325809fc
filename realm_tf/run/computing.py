"""How a run computes, which changes nothing of what it learns."""

import tensorflow as tf

from realm_tf.config import RealmConfig
from realm_tf.ops import compiling


def set_up(config: RealmConfig) -> None:
  """For this process, from now on: what XLA compiles, and whether results repeat."""
  compiling.set_compiling(config.compile)
  if config.deterministic:
    tf.config.experimental.enable_op_determinism()
