"""What `normalizer` does in the graph, by NumPy: the same, in a fraction of the time.

A corpus is cut by it, where every character of every document is looked at once.

Shape letters: B texts, C characters, N their bytes after normalisation.
"""

import functools
import itertools
from typing import NamedTuple, Sequence

import numpy as np

from realm_tf.text.characters import (
  ALONE,
  ASSIGNED_END,
  BLANK,
  LETTER,
  MARK,
  PLANE_14,
  UNKNOWN_CHAR,
  VARIATION_SELECTORS,
)
from realm_tf.text.normalizer import (
  MAX_WORD_CHARS,
  OTHER_DROP,
  OTHER_LETTER,
  OTHER_MARK,
  character_table,
)


class NormalizedTexts(NamedTuple):
  """Normalised texts, and for each of their bytes where it came from."""
  texts: list[bytes]
  splits: np.ndarray       # [B + 1] int64: where the bytes of each begin, end to end
  source: np.ndarray       # [N] int32: which character each byte is of
  char_places: np.ndarray  # [C + 1] int64: its first byte, in the original texts end to end
  char_ends: np.ndarray    # [C] int64: exclusive, with the marks stripped after it


class _ByteTable(NamedTuple):
  """What becomes of each row of `CharacterTable`, in UTF-8; then of letters of long words."""
  kinds: np.ndarray    # int8
  counts: np.ndarray   # int32: code points that replace it
  lengths: np.ndarray  # int64: their bytes
  starts: np.ndarray   # int64: the first of these in `data`
  data: np.ndarray     # uint8


@functools.lru_cache(maxsize=2)
def _byte_table(lower_case: bool) -> _ByteTable:
  table = character_table(lower_case)
  most = int(table.lengths.max())
  values = np.append(table.values, [UNKNOWN_CHAR] * most)
  first = np.append(table.starts, [len(table.values)] * (most + 1))
  counts = np.append(table.lengths, range(most + 1))
  places = np.append(0, np.cumsum(_utf8_lengths(values)))
  starts = places[first]
  return _ByteTable(table.kinds, table.lengths, places[first + counts] - starts, starts,
                    np.frombuffer("".join(map(chr, values)).encode("utf-8"), np.uint8))


def normalize_with_map(texts: Sequence[str], lower_case: bool) -> NormalizedTexts:
  """Normalises texts, which UTF-8 can hold, and keeps the way back to their bytes."""
  table = _byte_table(lower_case)
  whole = "".join(texts)
  codes = np.frombuffer(whole.encode("utf-32-le"), np.int32)
  text_places = np.cumsum([0, *map(len, texts)])
  text_starts = np.zeros(len(codes) + 1, bool)
  text_starts[text_places] = True
  rows = _closed_lines(codes)
  kinds = table.kinds[rows]
  long = _long_words(kinds, table.counts, rows, text_starts)
  if len(long):
    rows = rows.copy()
    rows[long] = len(table.kinds) + table.counts[rows[long]]
  lengths = table.lengths[rows]
  places = np.append(0, np.cumsum(lengths))  # [C + 1]
  source = np.repeat(np.arange(len(codes), dtype=np.int32), lengths)  # [N]
  data = table.data[(table.starts[rows] - places[:-1])[source] + np.arange(len(source))]
  splits, joined = places[text_places], data.tobytes()
  char_places = _char_places(whole.encode("utf-8"))
  # A stripped accent belongs to the surface of the character it stood on.
  clusters = np.flatnonzero(text_starts | np.append(kinds != MARK, True))
  return NormalizedTexts(
      [joined[start:end] for start, end in itertools.pairwise(splits.tolist())], splits,
      source, char_places, np.repeat(char_places[clusters[1:]], np.diff(clusters)))


def _char_places(data: bytes) -> np.ndarray:
  """Where each character of UTF-8 begins, and where the last one ends."""
  starts = np.flatnonzero(np.frombuffer(data, np.uint8) & 0xC0 != 0x80)
  return np.append(starts, len(data))


def _closed_lines(codes: np.ndarray) -> np.ndarray:
  if not len(codes) or codes.max() < ASSIGNED_END:
    return codes
  first, last = VARIATION_SELECTORS
  other = np.where(codes >= PLANE_14, OTHER_DROP, OTHER_LETTER)
  other = np.where((codes >= first) & (codes <= last), OTHER_MARK, other)
  return np.where(codes < ASSIGNED_END, codes, other)


def _long_words(kinds: np.ndarray, counts: np.ndarray, rows: np.ndarray,
                text_starts: np.ndarray) -> np.ndarray:
  """[X] int: the letters of words that are [UNK] for their length."""
  breaks = np.flatnonzero(text_starts | np.append((kinds == BLANK) | (kinds == ALONE), True))
  sizes = np.diff(breaks)
  found = [np.zeros(0, np.int64)]
  for word in np.flatnonzero(sizes * counts.max() > MAX_WORD_CHARS):
    letters = breaks[word] + np.flatnonzero(kinds[breaks[word]:breaks[word + 1]] == LETTER)
    if counts[rows[letters]].sum() > MAX_WORD_CHARS:
      found.append(letters)
  return np.concatenate(found)


def _utf8_lengths(codes: np.ndarray) -> np.ndarray:
  widths = np.ones(len(codes), np.int64)
  if len(codes) and codes.max() >= 0x80:
    widths += (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
  return widths
