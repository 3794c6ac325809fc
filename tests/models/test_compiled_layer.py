"""Layers that XLA compiles give the figures of those that it does not."""

import numpy as np
import pytest

from realm_tf.ops.compiling import compiling as compiling_is
from tests import tiny
from tests.ops.test_transformer import _bert, _difference, _outcome


@pytest.mark.parametrize("precision, most", [("float32", 1e-5), ("bfloat16", 0.1)])
@pytest.mark.parametrize("recompute", [False, True])
def test_states_and_gradients_are_the_same(precision, most, recompute):
  packed = tiny.random_packed(np.random.default_rng(1), 9, 30)
  expected = _outcome(_bert(precision=precision), packed)
  with compiling_is("on"):
    actual = _outcome(_bert(precision=precision, recompute=recompute), packed)
  assert [part.shape for part in actual] == [part.shape for part in expected]
  assert _difference(actual, expected) < most
