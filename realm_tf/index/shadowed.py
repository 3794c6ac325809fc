# Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
"""A table variable with its eight-bit shadow beside it, swapped as one.

A search must never read the shadow of another table. Variables cannot be replaced
together, so a version says whether what was read belongs together: while a swap is
under way, and after `table` was written by someone else's checkpoint, searches go
without the shadow, which is slower and gives the same answer.
"""

import secrets
import threading

import tensorflow as tf

from realm_tf.index.interface import host_variable
from realm_tf.ops.shadow import shadow_table

# No shadow belongs to a table of this version.
_NONE = 0


def _new_version() -> int:
  return _NONE + 1 + secrets.randbelow(2**62)


class ShadowedTable(tf.Module):
  """Keeps `table` [N, D] and its shadow in step.

  Only `version` goes into checkpoints, with `table`; the shadow is made again.
  """

  def __init__(self, table: tf.Variable):
    super().__init__()
    self._table = table
    version = _new_version()
    self.version = host_variable(tf.constant(version, tf.int64), "version")
    codes, bounds = map(host_variable, shadow_table(table), ("codes", "bounds"))
    shadow_version = host_variable(tf.constant(version, tf.int64), "shadow_version")
    # Behind a function, checkpoints do not find them.
    self._parts = lambda: (codes, bounds, shadow_version)
    self._writing = threading.Lock()

  def assign(self, table: tf.Tensor) -> None:
    """Replaces the table [N, D] and makes its shadow."""
    codes, bounds, shadow_version = self._parts()
    with self._writing:
      new_codes, new_bounds = shadow_table(table)
      version = _new_version()
      self.version.assign(_NONE)
      self._table.assign(table)
      codes.assign(new_codes)
      bounds.assign(new_bounds)
      shadow_version.assign(version)
      self.version.assign(version)

  def read(self) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """The table, and its shadow or one of no rows."""
    codes, bounds, shadow_version = self._parts()
    before = self.version.read_value()
    with tf.control_dependencies([before]):
      table = self._table.read_value()
      codes, bounds = codes.read_value(), bounds.read_value()
      made_for = shadow_version.read_value()
    with tf.control_dependencies([table, codes, bounds, made_for]):
      after = self.version.read_value()
    whole = (tf.equal(before, after) & tf.equal(before, made_for)
             & tf.not_equal(before, _NONE))
    return table, (tf.cond(whole, lambda: codes, lambda: codes[:0]), bounds)


class SavedShadow(tf.Module):
  """The shadow of a table that never changes, which is saved with it."""

  def __init__(self, table: tf.Variable):
    super().__init__()
    self._table = table
    self.codes, self.bounds = map(host_variable, shadow_table(table), ("codes", "bounds"))

  def read(self) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """The table and its shadow."""
    return self._table.read_value(), (self.codes.read_value(), self.bounds.read_value())
