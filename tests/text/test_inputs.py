"""Packing, against a plain loop."""

import types

import numpy as np
import pytest
import tensorflow as tf

import realm_tf  # noqa: F401
from realm_tf.config.rules import LEAST_PAIR
from realm_tf.text.inputs import pack_pair, pack_single

IDS = types.SimpleNamespace(pad_id=9, cls_id=101, sep_id=102)


def _rows(rng, count, longest):
  return [rng.integers(200, 300, rng.integers(0, longest + 1)).tolist()
          for _ in range(count)]


def _ragged(rows):
  return tf.ragged.constant(rows, tf.int32, ragged_rank=1)


@pytest.mark.parametrize("max_length", [2, 3, 7, 8, 20, 64])
def test_pack_single(max_length):
  rows = _rows(np.random.default_rng(max_length), 30, 25)
  packed = pack_single(_ragged(rows), max_length, IDS)
  expected = [[101, *row[:max_length - 2], 102] for row in rows]
  longest = max(map(len, expected))
  width = packed.ids.shape[1]
  assert width == min(-(-longest // 8) * 8, max_length)
  assert packed.ids.dtype == packed.segments.dtype == tf.int32
  for i, row in enumerate(expected):
    assert packed.ids[i].numpy().tolist() == row + [9] * (width - len(row))
    assert packed.padding_mask[i].numpy().tolist() == [j < len(row) for j in range(width)]
    assert packed.second_start[i] == len(row)
  assert not packed.segments.numpy().any()


def _cut(a, b, max_length, whole_first):
  """Piece by piece: `b` down to a quarter of the room, then `a`, then `b` again."""
  least = 0 if whole_first else (max_length - 3) / 4
  a, b = list(a), list(b)
  while len(a) + len(b) > max_length - 3:
    (b if len(b) - 1 >= least or not a else a).pop()
  return a, b


@pytest.mark.parametrize("max_length", [3, 4, 5, 11, 16, 23, 40, 128])
@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("whole_first", [False, True])
def test_pack_pair(max_length, multiple, whole_first):
  rng = np.random.default_rng(max_length)
  first, second = _rows(rng, 40, 20), _rows(rng, 40, 30)
  packed = pack_pair(_ragged(first), _ragged(second), max_length, IDS, multiple, whole_first)
  width = packed.ids.shape[1]
  for i, (a, b) in enumerate(zip(first, second)):
    a, b = _cut(a, b, max_length, whole_first)
    row = [101, *a, 102, *b, 102]
    assert packed.ids[i].numpy().tolist() == row + [9] * (width - len(row))
    assert packed.padding_mask[i].numpy().tolist() == [j < len(row) for j in range(width)]
    segments = [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * (width - len(row))
    assert packed.segments[i].numpy().tolist() == segments
    assert packed.second_start[i] == len(a) + 2
  longest = int(packed.padding_mask.numpy().sum(1).max())
  assert width == min(-(-longest // multiple) * multiple, max_length)


@pytest.mark.parametrize("max_length", range(LEAST_PAIR, 40))
def test_a_piece_is_left_of_each_text(max_length):
  for a, b in ((1, 1), (1, 99), (99, 1), (99, 99)):
    packed = pack_pair(_ragged([[7] * a]), _ragged([[8] * b]), max_length, IDS)
    ids = packed.ids.numpy()[0].tolist()
    assert 7 in ids and 8 in ids and ids.count(102) == 2


def test_batch_of_empty_rows_and_empty_batch():
  empty = _ragged([[], []])
  assert pack_single(empty, 16, IDS).ids.numpy().tolist() == [[101, 102] + [9] * 6] * 2
  pair = pack_pair(empty, empty, 16, IDS)
  assert pair.ids[0, :4].numpy().tolist() == [101, 102, 102, 9]
  nothing = tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), [0])
  assert pack_pair(nothing, nothing, 16, IDS).ids.shape[0] == 0


def test_one_trace_for_every_length():
  traces = []

  @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)] * 2)
  def pack(first, second):
    traces.append(1)
    return pack_pair(first, second, 32, IDS)

  for rows in ([[1]], [[1, 2], []], [[1] * 50]):
    pack(_ragged(rows), _ragged(rows))
  assert len(traces) == 1


def test_too_short_a_limit_is_refused():
  with pytest.raises(ValueError, match="max_length is 1"):
    pack_single(_ragged([[1]]), 1, IDS)
  with pytest.raises(ValueError, match="max_length is 2"):
    pack_pair(_ragged([[1]]), _ragged([[1]]), 2, IDS)
