"""Arrays and strings as tensors, without copies on the way."""

import tracemalloc

import numpy as np
import pytest

from realm_tf.corpus import mapped
from realm_tf.corpus.strings import Strings


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 10])
def test_strings_become_a_tensor_part_by_part(monkeypatch, count, decoded):
  monkeypatch.setattr(mapped, "_STRINGS", 3)
  texts = ["", "a", "東京 😀", "long " * 20, "x\0y"] * 2
  tensor = mapped.string_tensor(Strings.of(texts[:count], decoded))
  assert tensor.numpy().tolist() == [text.encode() for text in texts[:count]]


def test_strings_are_not_all_pythons_at_the_same_time(monkeypatch):
  monkeypatch.setattr(mapped, "_STRINGS", 100)
  strings = Strings(np.zeros(10_000_000, np.uint8), np.arange(0, 10_000_001, 1000))
  mapped.string_tensor(strings)  # what TensorFlow sets up by itself
  tracemalloc.start()
  assert mapped.string_tensor(strings).shape == [10_000]
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 2_000_000
