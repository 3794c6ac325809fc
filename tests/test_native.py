"""The loader of the compiled ops."""

import pytest

from realm_tf import native


def test_a_missing_library_says_what_to_do():
  with pytest.raises(ImportError, match="make setup"):
    native.load_library("/nowhere/_realm_ops.so")
