"""How long a stage has worked, over all the sessions that it took."""

import time

import tensorflow as tf


class Worked(tf.train.experimental.PythonState):
  """Time since it was made, and that of earlier sessions up to the checkpoint resumed.

  Checkpoints hold it: what was done after the last one is done again.
  """

  def __init__(self) -> None:
    super().__init__()
    self._begun = time.monotonic()
    self.before = 0.0  # seconds

  def serialize(self) -> str:
    return repr(self.before + time.monotonic() - self._begun)

  def deserialize(self, string_value: bytes) -> None:
    self.before = float(string_value)
