"""What `normalizer` does in the graph, by NumPy: the same, in a sixth of the time.

A corpus is cut by it, where every character of every document is looked at once.

Shape letters: C characters, U code points after normalisation, N their bytes.
"""

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
  """As `normalizer.Normalized`, of arrays."""
  texts: list[bytes]
  byte_splits: np.ndarray  # [B + 1] int64
  byte_starts: np.ndarray  # [N] int32
  byte_ends: np.ndarray    # [N] int32


def normalize_with_map(texts: Sequence[str], lower_case: bool) -> NormalizedTexts:
  """Normalises texts, which UTF-8 can hold, and keeps the way back to their bytes."""
  table = character_table(lower_case)
  codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.int32)
  sizes = np.array([len(text) for text in texts], np.int64)  # [B]
  firsts = np.cumsum(sizes) - sizes
  text_starts = np.zeros(len(codes), bool)  # [C]
  text_starts[firsts[sizes > 0]] = True
  rows = _table_rows(codes)
  kinds, counts = table.kinds[rows], table.lengths[rows]
  source = np.repeat(np.arange(len(codes)), counts)  # [U]: which character each is of
  within = np.arange(len(source)) - (np.cumsum(counts) - counts)[source]
  replaced = table.values[table.starts[rows][source] + within]
  replaced = np.where(_too_long(kinds, counts, text_starts)[source], UNKNOWN_CHAR, replaced)

  joined = replaced.astype("<u4").tobytes().decode("utf-32-le")
  places = np.append(0, np.cumsum(counts))
  normalized = [joined[start:end].encode("utf-8")
                for start, end in zip(places[firsts], places[firsts + sizes])]
  starts, ends = _original_bytes(codes, kinds, text_starts, firsts, sizes)
  char = np.repeat(source, _utf8_lengths(replaced))  # [N]
  splits = np.append(0, np.cumsum([len(text) for text in normalized], dtype=np.int64))
  return NormalizedTexts(normalized, splits, starts[char], ends[char])


def _original_bytes(codes: np.ndarray, kinds: np.ndarray, text_starts: np.ndarray,
                    firsts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Where each character begins and ends in its text: [C] int32 each."""
  places = np.append(0, np.cumsum(_utf8_lengths(codes)))  # [C + 1]
  of_text = np.repeat(places[firsts], sizes)
  # A stripped accent belongs to the surface of the character it stood on.
  clusters = np.append(np.flatnonzero(text_starts | (kinds != MARK)), len(codes))
  ends = np.repeat(places[clusters[1:]], np.diff(clusters))
  return (places[:-1] - of_text).astype(np.int32), (ends - of_text).astype(np.int32)


def _table_rows(codes: np.ndarray) -> np.ndarray:
  if not len(codes) or codes.max() < ASSIGNED_END:
    return codes
  first, last = VARIATION_SELECTORS
  other = np.where(codes >= PLANE_14, OTHER_DROP, OTHER_LETTER)
  other = np.where((codes >= first) & (codes <= last), OTHER_MARK, other)
  return np.where(codes < ASSIGNED_END, codes, other)


def _too_long(kinds: np.ndarray, counts: np.ndarray, text_starts: np.ndarray) -> np.ndarray:
  """[C] bool: letters of words that are [UNK] for their length."""
  letter = kinds == LETTER
  words = np.flatnonzero(text_starts | (kinds == BLANK) | (kinds == ALONE))
  if not len(words):
    return np.zeros(0, bool)
  chars = np.add.reduceat(np.where(letter, counts, 0), words)
  return letter & np.repeat(chars > MAX_WORD_CHARS, np.diff(np.append(words, len(kinds))))


def _utf8_lengths(codes: np.ndarray) -> np.ndarray:
  widths = np.ones(len(codes), np.int64)
  if len(codes) and codes.max() >= 0x80:
    widths += (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
  return widths
