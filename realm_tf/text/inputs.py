"""Packs token ids into the inputs of the models, in the graph.

Rows are padded to the longest of the batch, not to the limit: a batch of short
questions costs what short questions cost. Where shapes must not depend on the data, as
XLA wants it, `multiple=0` pads to the limit.

Shape letters: B batch, T tokens.
"""

import math
import typing

import tensorflow as tf

# Of the room that a pair has, `first` leaves this share to `second`, rounded up.
_SHARE_OF_SECOND = 1 / 4


class SpecialIds(typing.Protocol):
  """Whatever knows the ids of the special tokens: a `Tokenizer`, for one."""
  pad_id: int
  cls_id: int
  sep_id: int


class Packed(typing.NamedTuple):
  """`[CLS] first [SEP] second [SEP]`, or `[CLS] x [SEP]`, padded."""
  ids: tf.Tensor           # [B, T] int32
  padding_mask: tf.Tensor  # [B, T] bool: False on padding
  segments: tf.Tensor      # [B, T] int32: 1 on `second [SEP]`, else 0
  second_start: tf.Tensor  # [B] int32: position of the first token of `second`


def packed_spec(prefix: str = "") -> Packed:
  """Of any B and T; the names of the fields follow the prefix."""
  return Packed(tf.TensorSpec([None, None], tf.int32, f"{prefix}ids"),
                tf.TensorSpec([None, None], tf.bool, f"{prefix}padding_mask"),
                tf.TensorSpec([None, None], tf.int32, f"{prefix}segments"),
                tf.TensorSpec([None], tf.int32, f"{prefix}second_start"))


def joined(first: Packed, second: Packed) -> Packed:
  """The rows of both after each other, the shorter ones padded to the longer ones' T."""
  longest = tf.maximum(tf.shape(first.ids)[1], tf.shape(second.ids)[1])

  def to_longest(field: tf.Tensor) -> tf.Tensor:
    return tf.pad(field, [[0, 0], [0, longest - tf.shape(field)[1]]])

  ids, padding_mask, segments = (tf.concat([to_longest(a), to_longest(b)], 0)
                                 for a, b in zip(first[:3], second[:3]))
  return Packed(ids, padding_mask, segments,
                tf.concat([first.second_start, second.second_start], 0))


def _positions(lengths: tf.Tensor, max_length: int, multiple: int) -> tf.Tensor:
  """`[1, T]` positions up to the longest row, T rounded up to `multiple`; 0 for the limit."""
  if not multiple:
    return tf.range(max_length)[None, :]
  longest = tf.reduce_max(tf.concat([lengths, [1]], 0))  # a batch may have no rows
  width = -(-longest // multiple) * multiple
  return tf.range(tf.minimum(width, max_length))[None, :]


def _at(rows: tf.RaggedTensor, positions: tf.Tensor) -> tf.Tensor:
  """`[B, T]` int32: the ids of each row at `positions`; anything where outside."""
  values = tf.concat([tf.cast(rows.values, tf.int32), [0]], 0)
  index = tf.cast(rows.row_starts(), tf.int32)[:, None] + positions
  return tf.gather(values, tf.clip_by_value(index, 0, tf.size(values) - 1))


def _lengths(rows: tf.RaggedTensor) -> tf.Tensor:
  return tf.cast(rows.row_lengths(), tf.int32)


def pack_single(
    ids: tf.RaggedTensor, max_length: int, special: SpecialIds, multiple: int = 8
) -> Packed:
  """`[CLS] x [SEP]`, with x cut at the end where it is too long.

  Args:
    ids: `[B, (T)]` int32.
    max_length: most tokens in a row, special tokens counted; at least 2.
    special: gives `pad_id`, `cls_id`, `sep_id`.
    multiple: T is rounded up to a multiple of this, but never beyond `max_length`; with
      0 it always is `max_length`.

  Returns:
    See `Packed`; `segments` are all 0, and `second_start` is the length of the row.
  """
  if max_length < 2:
    raise ValueError(f"max_length is {max_length}: [CLS] and [SEP] alone take 2")
  pieces = tf.minimum(_lengths(ids), max_length - 2)  # [B]
  lengths = pieces + 2
  positions = _positions(lengths, max_length, multiple)  # [1, T]
  end = pieces[:, None] + 1
  packed = _at(ids, positions - 1)
  packed = tf.where(positions == 0, special.cls_id, packed)
  packed = tf.where(positions == end, special.sep_id, packed)
  packed = tf.where(positions > end, special.pad_id, packed)
  return Packed(packed, positions <= end, tf.zeros_like(packed), lengths)


def kept_of_pair(first: tf.Tensor, second: tf.Tensor, max_length: int,
                 whole_first: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
  """How many pieces `pack_pair` keeps of texts of so many: [B], [B] int32 -> the same."""
  room = max_length - 3
  left = 0 if whole_first else tf.minimum(second, math.ceil(room * _SHARE_OF_SECOND))
  kept_first = tf.minimum(first, room - left)
  return kept_first, tf.minimum(second, room - kept_first)


def pack_pair(
    first: tf.RaggedTensor, second: tf.RaggedTensor, max_length: int,
    special: SpecialIds, multiple: int = 8, whole_first: bool = False) -> Packed:
  """`[CLS] first [SEP] second [SEP]`, with both cut at their ends where they are too long.

  `second` is cut first, down to a quarter of what the special tokens leave; only then is
  `first`. So, from `config.rules.LEAST_PAIR` tokens on, a piece is left of each that has any.

  Args:
    first: `[B, (T)]` int32.
    second: `[B, (T)]` int32.
    max_length: most tokens in a row, special tokens counted; at least 3.
    special: gives `pad_id`, `cls_id`, `sep_id`.
    multiple: T is rounded up to a multiple of this, but never beyond `max_length`; with
      0 it always is `max_length`.
    whole_first: cut `first` only where it would not fit alone, `second` being empty then.

  Returns:
    See `Packed`.
  """
  if max_length < 3:
    raise ValueError(f"max_length is {max_length}: the special tokens alone take 3")
  kept_first, kept_second = kept_of_pair(_lengths(first), _lengths(second), max_length,
                                         whole_first)  # [B]
  lengths = kept_first + kept_second + 3
  positions = _positions(lengths, max_length, multiple)  # [1, T]
  start = kept_first[:, None] + 2  # of `second`
  end = lengths[:, None] - 1
  packed = tf.where(positions < start, _at(first, positions - 1),
                    _at(second, positions - start))
  packed = tf.where(positions == 0, special.cls_id, packed)
  packed = tf.where((positions == start - 1) | (positions == end),
                    special.sep_id, packed)
  packed = tf.where(positions > end, special.pad_id, packed)
  padding_mask = positions <= end
  segments = tf.cast((positions >= start) & padding_mask, tf.int32)
  return Packed(packed, padding_mask, segments, kept_first + 2)
