"""Answers that are looked for in one part of a corpus after another.

Shape letters: A different answers, L units of an answer, U units of a part of the corpus, F
places found.
"""

import typing
from typing import Iterator, Sequence

import numpy as np

from realm_tf.corpus.spelling import Spelling, Units
from realm_tf.corpus.store import Corpus
from realm_tf.text.patterns import compile_pattern
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.words import words

_MULTIPLIER, _PAIR_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15), np.uint32(0x9E3779B1)
PLACE = np.dtype([("question", np.int32), ("row", np.int32), ("start", np.int32),
                   ("end", np.int32)])


class _Answers(typing.NamedTuple):
  """The different answers of one length, sorted by hash."""
  ids: np.ndarray        # [A, L] int32
  hashes: np.ndarray     # [A] uint64
  names: np.ndarray      # [A] int: number of the answer among all lengths


def _hash(columns: Iterator[np.ndarray]) -> np.ndarray:
  """Hashes rows given by their columns; it wraps around, and may collide."""
  total: np.ndarray | np.uint64 = np.uint64(0)
  for column in columns:
    total = (total ^ column.astype(np.uint64)) * _MULTIPLIER
    total = total ^ (total >> np.uint64(29))
  return np.asarray(total)


def _number(answers: Sequence[Sequence[str]], tokenizer: Tokenizer
            ) -> tuple[dict[tuple[int, ...], int], np.ndarray, Spelling]:
  """Numbers the different sequences of ids; `[P, 2]` pairs (number, question)."""
  words_of = {text: words(text) for question in answers for text in question}
  spelling = Spelling((word for word_list in words_of.values() for word in word_list),
                      tokenizer)
  sequence_of = {text: tuple(id for word in word_list for id in spelling.ids(word))
                 for text, word_list in words_of.items()}
  numbers: dict[tuple[int, ...], int] = {}
  pairs = {(numbers.setdefault(sequence_of[text], len(numbers)), question)
           for question, group in enumerate(answers) for text in group if sequence_of[text]}
  return numbers, np.array(sorted(pairs), np.int64).reshape(-1, 2), spelling


def _by_length(numbers: dict[tuple[int, ...], int]) -> list[_Answers]:
  groups: dict[int, list[tuple[int, ...]]] = {}
  for sequence in numbers:
    groups.setdefault(len(sequence), []).append(sequence)
  result = []
  for sequences in groups.values():
    ids = np.array(sequences, np.int32)
    hashes = _hash(iter(ids.T))
    order = np.argsort(hashes, kind="stable")
    names = np.array([numbers[sequence] for sequence in sequences])
    result.append(_Answers(ids[order], hashes[order], names[order]))
  return result


def _pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """A number of 20 bits for two ids after each other; others may have the same."""
  pair = first.astype(np.uint32) * _PAIR_MULTIPLIER + second.astype(np.uint32)
  return (pair * _PAIR_MULTIPLIER) >> 12


class _Heads:
  """Tells cheaply where an answer may begin: by its first two ids, or its only one."""

  def __init__(self, groups: list[_Answers], size: int):
    self._single, self._pair = np.zeros(size, bool), np.zeros(1 << 20, bool)
    for answers in groups:
      if answers.ids.shape[1] == 1:
        self._single[answers.ids[:, 0]] = True
      else:
        self._pair[_pair(*answers.ids[:, :2].T)] = True

  def of(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where in `[U]` ids an answer may begin: one of one unit, one of more."""
    return (np.flatnonzero(self._single[ids]),
            np.flatnonzero(self._pair[_pair(ids[:-1], ids[1:])]))


def _candidates(units: Units, heads: np.ndarray, answers: _Answers, size: int) -> np.ndarray:
  """Those of the places `heads` where one of the answers could begin, and end.

  Each begins at a word: the ids of an answer never start with a continuation.
  """
  firsts, lasts = np.zeros([2, size], bool)
  firsts[answers.ids[:, 0]] = True
  lasts[answers.ids[:, -1]] = True
  places = heads[firsts[units.ids[heads]]]
  last = places + answers.ids.shape[1] - 1
  within = last < units.row_ends[places]
  places, last = places[within], last[within]
  return places[lasts[units.ids[last]] & units.ends_word[last]]


def _search(ids: np.ndarray, places: np.ndarray, answers: _Answers
            ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields arrays of (place, answer) where the answer does stand at the place."""
  length = answers.ids.shape[1]
  hashes = _hash(ids[places + i] for i in range(length))
  index = np.searchsorted(answers.hashes, hashes)
  while len(places):
    is_known = index < len(answers.hashes)
    is_known[is_known] = answers.hashes[index[is_known]] == hashes[is_known]
    places, index, hashes = places[is_known], index[is_known], hashes[is_known]
    # A hash is a hint only: the ids themselves are compared.
    same = np.ones(len(places), bool)
    for i in range(length):
      same &= ids[places + i] == answers.ids[index, i]
    yield places[same], answers.names[index[same]]
    index = index + 1  # the next answer may have the same hash


class AnswerSearch:
  """Looks for the answers of questions in one part of a corpus after another."""

  def __init__(self, answers: Sequence[Sequence[str]], tokenizer: Tokenizer,
               regex: Sequence[bool]):
    plain = [() if flag else group for group, flag in zip(answers, regex, strict=True)]
    numbers, self._pairs, self._spelling = _number(plain, tokenizer)
    self._groups = _by_length(numbers)
    self._heads = _Heads(self._groups, len(self._spelling.continuation))
    self._questions_of: dict[str, list[int]] = {}  # by pattern
    for question in np.flatnonzero(regex).tolist():
      for pattern in dict.fromkeys(answers[question]):
        self._questions_of.setdefault(pattern, []).append(question)

  def part(self, corpus: Corpus, first: int, end: int) -> np.ndarray:
    """`[F]` places in rows [first, end), by question, row, start and end; none twice."""
    found = self._of_questions(self._find(corpus, first, end))
    places = _sorted(np.concatenate([found, self._find_patterns(corpus, first, end)]),
                     end - first)
    places[:, 1] += first
    records = np.empty(len(places), PLACE)
    for name, column in zip(PLACE.names or (), places.T):
      records[name] = column
    return records

  def _find(self, corpus: Corpus, first: int, end: int) -> np.ndarray:
    """`[F, 4]` int64: answer, row counted from `first`, start, inclusive end."""
    parts, size = [np.zeros((0, 4), np.int64)], len(self._spelling.continuation)
    if not self._groups:
      return parts[0]
    units = Units(corpus, first, end, self._spelling)
    single, several = self._heads.of(units.ids)
    for answers in self._groups:
      length = answers.ids.shape[1]
      places = _candidates(units, single if length == 1 else several, answers, size)
      for place, name in _search(units.ids, places, answers):
        starts, ends = units.starts(place), units.ends(place + length - 1)
        has_pieces = (starts >= 0) & (ends >= 0)
        parts.append(np.stack([name, units.rows[place], np.where(has_pieces, starts, -1),
                               np.where(has_pieces, ends, -1)], 1))
    return np.concatenate(parts)

  def _of_questions(self, places: np.ndarray) -> np.ndarray:
    """Of `[F, 4]` places of answers those of each question that has the answer."""
    numbers = self._pairs[:, 0]  # ascending
    first = np.searchsorted(numbers, places[:, 0], side="left")
    count = np.searchsorted(numbers, places[:, 0], side="right") - first
    place = np.repeat(np.arange(len(places)), count)
    within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    question = self._pairs[first[place] + within, 1]
    return np.stack([question, *places[place, 1:].T], 1)

  def _find_patterns(self, corpus: Corpus, first: int, end: int) -> np.ndarray:
    """`[F, 4]` int64: question, row counted from `first`, start, inclusive end."""
    places: list[tuple[int, int, int, int]] = []
    texts = corpus.texts[first:end].tolist() if self._questions_of else ()
    for row, text in enumerate(texts):
      decoded = text.decode("utf-8")
      for pattern, questions in self._questions_of.items():
        for match in compile_pattern(pattern).whole_words(decoded):
          at = _tokens_of(match, decoded, corpus, first + row)
          places.extend((question, row, *at) for question in questions)
    return np.array(places, np.int64).reshape(-1, 4)


def _tokens_of(match: tuple[int, int], text: str, corpus: Corpus, row: int
               ) -> tuple[int, int]:
  """The first and the last token of characters [start, end); -1, -1 where these cut one."""
  first, last = (len(text[:place].encode("utf-8")) for place in match)
  starts, ends = corpus.body_starts.row(row), corpus.body_ends.row(row)
  start = int(np.searchsorted(starts, first))
  end = int(np.searchsorted(ends, last, "right")) - 1
  if start < len(starts) and starts[start] == first and ends[end] == last:
    return start, end
  return -1, -1


def _sorted(places: np.ndarray, num_rows: int) -> np.ndarray:
  """Sorts `[F, 4]` question, row, start, end; each once, and -1 only where it is all."""
  # One number for each place: int64 has room for 10^6 questions, 10^7 rows of 512 pieces.
  length = int(places[:, 2:].max(initial=0)) + 2
  question, row, start, end = places.T
  keys = np.unique(((question * num_rows + row) * length + start % length) * length
                   + end % length)  # -1 comes last
  keys, end = np.divmod(keys, length)
  keys, start = np.divmod(keys, length)
  first = np.diff(keys, prepend=-1) > 0  # of its question and row
  has_pieces = start < length - 1
  question, row = np.divmod(keys, num_rows)
  places = np.stack([question, row, np.where(has_pieces, start, -1),
                     np.where(has_pieces, end, -1)], 1)
  return places[has_pieces | first]
