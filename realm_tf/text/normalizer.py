"""BERT's text normalisation in the graph, with a way back to the original bytes.

TF Text's FastBertNormalizer folds compatibility characters as well ('½' becomes
'1⁄2', '™' becomes 'tm'), which BERT never did, so its ids differ from those that
BERT was trained on. BERT's own rules treat each character by itself: here they are
a table from a code point to the code points that replace it.

Shape letters: B batch, C characters, U code points after normalisation.
"""

import functools
import typing

import numpy as np
import tensorflow as tf

from realm_tf.text.characters import (
  ALONE,
  ASSIGNED_END,
  BLANK,
  LETTER,
  MARK,
  PLANE_14,
  UNKNOWN_CHAR,
  VARIATION_SELECTORS,
  replacement,
)

MAX_WORD_CHARS = 100  # longer words are [UNK], as in BERT

# Three rows stand for all code points from `characters.ASSIGNED_END` on.
OTHER_LETTER, OTHER_DROP, OTHER_MARK = range(ASSIGNED_END, ASSIGNED_END + 3)
_OTHERS = (ASSIGNED_END, PLANE_14, VARIATION_SELECTORS[0])


class Normalized(typing.NamedTuple):
  """Normalised texts, and for each of their bytes where it came from."""
  texts: tf.Tensor       # [B] string
  byte_splits: tf.Tensor  # [B + 1] int64: where each text's bytes start in the map
  byte_starts: tf.Tensor  # int32: byte of the original where the character starts
  byte_ends: tf.Tensor    # int32: and ends, with the marks stripped after it


class CharacterTable(typing.NamedTuple):
  """By code point; see `_table_row` for those that are not assigned."""
  kinds: np.ndarray    # [ASSIGNED_END + 3] int8
  starts: np.ndarray   # [ASSIGNED_END + 3] int32: first replacement in `values`
  lengths: np.ndarray  # [ASSIGNED_END + 3] int32
  values: np.ndarray   # int32: the replacements, end to end


@functools.lru_cache(maxsize=2)
def character_table(lower_case: bool) -> CharacterTable:
  """What BERT makes of each character."""
  entries = [replacement(code, lower_case) for code in (*range(ASSIGNED_END), *_OTHERS)]
  kinds = np.array([kind for kind, _ in entries], np.int8)
  lengths = np.array([len(codes) for _, codes in entries], np.int32)
  values = np.array([code for _, codes in entries for code in codes], np.int32)
  starts = np.cumsum(lengths, dtype=np.int32) - lengths
  return CharacterTable(kinds, starts, lengths, values)


def _table_row(codes: tf.Tensor) -> tf.Tensor:
  first, last = VARIATION_SELECTORS
  other = tf.where(codes >= PLANE_14, OTHER_DROP, OTHER_LETTER)
  other = tf.where((codes >= first) & (codes <= last), OTHER_MARK, other)
  return tf.where(codes < ASSIGNED_END, codes, other)


def _utf8_length(codes: tf.Tensor) -> tf.Tensor:
  return (1 + tf.cast(codes >= 0x80, tf.int32) + tf.cast(codes >= 0x800, tf.int32)
          + tf.cast(codes >= 0x10000, tf.int32))


def _splits(lengths: tf.Tensor) -> tf.Tensor:
  return tf.concat([tf.zeros([1], lengths.dtype), tf.cumsum(lengths)], 0)


class Normalizer(tf.Module):
  """Cleans, lower-cases and strips accents as BERT does; pads what stands alone."""

  def __init__(self, lower_case: bool = True):
    super().__init__()
    table = character_table(lower_case)
    with tf.init_scope():
      self._kinds = tf.constant(table.kinds)
      self._starts = tf.constant(table.starts)
      self._lengths = tf.constant(table.lengths)
      self._values = tf.constant(table.values)

  def _replace(self, rows, kinds, row_starts):
    """[C] table rows -> [U] code points, [U] the character that each came from."""
    lengths = tf.gather(self._lengths, rows)
    source = tf.repeat(tf.range(tf.size(rows)), lengths)
    within = tf.range(tf.size(source)) - tf.gather(tf.cumsum(lengths, exclusive=True),
                                                   source)
    codes = tf.gather(self._values, tf.gather(tf.gather(self._starts, rows), source)
                      + within)
    letter = kinds == LETTER
    word = tf.cumsum(tf.cast(
        row_starts | (kinds == BLANK) | (kinds == ALONE), tf.int32))
    word_chars = tf.math.segment_sum(tf.where(letter, lengths, 0), word)
    too_long = letter & (tf.gather(word_chars, word) > MAX_WORD_CHARS)
    codes = tf.where(tf.gather(too_long, source), UNKNOWN_CHAR, codes)
    return codes, source

  def _run(self, texts: tf.Tensor, with_map: bool):
    chars, starts = tf.strings.unicode_decode_with_offsets(
        texts, "UTF-8", errors="replace")  # [B, (C)]
    row = tf.cast(chars.value_rowids(), tf.int32)
    row_starts = tf.concat([row[:1] >= 0, row[1:] != row[:-1]], 0)  # [C]
    closed_lines = _table_row(chars.values)
    kinds = tf.gather(self._kinds, closed_lines)
    codes, source = self._replace(closed_lines, kinds, row_starts)  # [U]
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(source), tf.gather(row, source), tf.size(texts))
    normalized = tf.strings.unicode_encode(
        tf.RaggedTensor.from_row_lengths(codes, counts, validate=False), "UTF-8")
    if not with_map:
      return normalized, None, None, None

    text_bytes = tf.strings.length(texts)  # [B]
    base = tf.gather(tf.cumsum(text_bytes, exclusive=True), row)  # [C]
    starts = tf.cast(starts.values, tf.int32)
    ends = tf.concat([(starts + base)[1:], tf.reduce_sum(text_bytes)[None]], 0) - base
    ends = ends[:tf.size(starts)]
    # A stripped accent belongs to the surface of the character it stood on.
    cluster = tf.cumsum(tf.cast(row_starts | (kinds != MARK), tf.int32))
    ends = tf.gather(tf.math.segment_max(ends, cluster), cluster)
    char = tf.repeat(source, _utf8_length(codes))
    splits = _splits(tf.cast(tf.strings.length(normalized), tf.int64))
    return normalized, splits, tf.gather(starts, char), tf.gather(ends, char)

  def __call__(self, texts: tf.Tensor) -> tf.Tensor:
    """Normalises texts `[B]` string -> `[B]` string. Bytes not UTF-8 are dropped."""
    return self._run(texts, with_map=False)[0]

  def with_map(self, texts: tf.Tensor) -> Normalized:
    """Normalises texts `[B]` string and keeps the way back, see `Normalized`."""
    return Normalized(*self._run(texts, with_map=True))
