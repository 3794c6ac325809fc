"""What variables of an export are told apart by, and that this copies none of them."""

import hashlib
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.index.exact import ExactIndex
from realm_tf.serving import variables


@pytest.mark.parametrize("values", [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.array(5, np.int64),
    np.zeros([0, 3], np.float32)])
def test_numbers(values):
  expected = hashlib.sha256(f"{values.dtype} {values.shape} ".encode() + values.tobytes())
  assert variables.hashes([tf.Variable(values)]) == [expected.hexdigest()]


def test_bfloat16():
  one, two = (tf.Variable(tf.constant([value], tf.bfloat16)) for value in (1.0, 2.0))
  first, again, other = variables.hashes([one, one, two])
  assert first == again != other


def test_strings_whose_ends_are_told_apart(monkeypatch):
  monkeypatch.setattr(variables, "_STRINGS", 2)
  expected = hashlib.sha256(b"object (2, 2) 1 a2 bc0 3 \xc3\xa9!")
  assert variables.hashes([tf.Variable([["a", "bc"], ["", "é!"]])]) == [expected.hexdigest()]
  assert len(set(variables.hashes([tf.Variable(texts) for texts in (
      ["ab", "c"], ["a", "bc"], ["abc"], [["ab", "c"]])]))) == 4


def test_nothing_is_copied(monkeypatch):
  """What an export writes is hashed where it lies: a table of a million rows is gigabytes."""
  monkeypatch.setattr(variables, "_STRINGS", 100)
  index = ExactIndex()
  index.assign(tf.zeros([10_000, 250]), 0)
  texts = tf.Variable(tf.fill([10_000], "x" * 1000))
  variables.hashes([index.table, texts])  # what TensorFlow sets up by itself
  tracemalloc.start()
  variables.hashes([index.table, texts])
  index.rows()
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 2_000_000
