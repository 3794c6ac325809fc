"""The loader of the compiled ops."""

import pytest

from realm_tf.ops import library


def test_a_missing_library_says_what_to_do():
  with pytest.raises(ImportError, match="make setup"):
    library.load_library("/nowhere/_realm_ops.so")
