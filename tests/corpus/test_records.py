"""Blocks are written as Protocol Buffers and TensorFlow would write them, byte for byte."""

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.corpus import records
from realm_tf.corpus.blocks import INTEGERS, STRINGS, Block

_EDGES = [0, 1, 127, 128, 129, 2**14 - 1, 2**14, 2**21 - 1, 2**21, 2**28 - 1, 2**28,
          2**31 - 1]
_TEXTS = ["", "a", "é😀", "x" * 127, "x" * 128, "日" * 20_000]


def _blocks():
  rng = np.random.default_rng(3)
  rows = [[], [0], _EDGES, *([number] for number in _EDGES), [7] * 127, [7] * 128,
          rng.integers(0, 2**31, 5000)]
  for _ in range(60):
    yield Block(**{name: _TEXTS[rng.integers(len(_TEXTS))] for name in STRINGS},
                **{name: np.asarray(rows[rng.integers(len(rows))], np.int32)
                   for name in INTEGERS})
  yield Block(**dict.fromkeys(STRINGS, ""), **dict.fromkeys(INTEGERS, np.zeros(0, np.int32)))


def _by_the_library(block):
  example = tf.train.Example()
  for name in STRINGS:
    example.features.feature[name].bytes_list.value.append(getattr(block, name).encode())
  for name in INTEGERS:
    example.features.feature[name].int64_list.value.extend(getattr(block, name).tolist())
  return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("at_a_time", [1, 7, 2048])
def test_examples_are_those_of_protocol_buffers(monkeypatch, at_a_time):
  monkeypatch.setattr(records, "_BLOCKS", at_a_time)
  assert list(records.serialized(_blocks())) == list(map(_by_the_library, _blocks()))


def test_records_are_those_of_tensorflow(tmp_path):
  examples = [b"", b"x", bytes(range(256)) * 50, *records.serialized(_blocks())]
  path = tmp_path / "records"
  with tf.io.TFRecordWriter(str(path)) as writer:
    for example in examples:
      writer.write(example)
  assert b"".join(map(records.record, examples)) == path.read_bytes()
