"""Where the answers stand in the corpus: once per data set, never in a training step.

An answer stands somewhere if its words do (`realm_tf.text.words`), as in evaluation: a
block has a place of an answer if and only if `metrics.has_answer` finds it in the text.

Shape letters: Q questions, A different answers, L units of an answer, U units of a part
of the corpus, F places found.
"""

import dataclasses
import hashlib
import json
import typing
from typing import Iterator, Sequence

import numpy as np

from realm_tf.corpus.derived import derived
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.spelling import Spelling, Units
from realm_tf.corpus.store import Corpus
from realm_tf.text.patterns import compile_pattern
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.words import words

_TOKENS_PER_PART = 1 << 22  # bounds memory: some hundred MB at the most
_MULTIPLIER, _PAIR_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15), np.uint32(0x9E3779B1)


@dataclasses.dataclass(frozen=True, eq=False)
class Occurrences:
  """Places of answers, by question, then by row, start and end; none twice.

  Attributes:
    rows: `[F]` int32, the block.
    starts: `[F]` int32, index in the block's `body_ids` of the first piece; -1 where the
      answer stands in the block, but no pieces are just the answer ([UNK] is more).
    ends: `[F]` int32, and of the last (inclusive), or -1.
    splits: `[Q + 1]` int64; question q has the places `splits[q]:splits[q + 1]`.
  """
  rows: np.ndarray
  starts: np.ndarray
  ends: np.ndarray
  splits: np.ndarray


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


def _parts(body: Ragged) -> Iterator[tuple[int, int]]:
  """Ranges of rows with at most `_TOKENS_PER_PART` tokens, but one row at least."""
  first = 0
  while first < len(body):
    limit = body.splits[first] + _TOKENS_PER_PART
    end = max(first + 1, int(np.searchsorted(body.splits, limit, side="right")) - 1)
    yield first, end
    first = end


def _find(corpus: Corpus, spelling: Spelling, groups: list[_Answers]) -> np.ndarray:
  """`[F, 4]` int64: answer, row, start, inclusive end."""
  parts, size = [np.zeros((0, 4), np.int64)], len(spelling.continuation)
  heads = _Heads(groups, size)
  for first, end in _parts(corpus.body_ids) if groups else ():
    units = Units(corpus, first, end, spelling)
    single, several = heads.of(units.ids)
    for answers in groups:
      length = answers.ids.shape[1]
      places = _candidates(units, single if length == 1 else several, answers, size)
      for place, name in _search(units.ids, places, answers):
        starts, ends = units.starts(place), units.ends(place + length - 1)
        has_pieces = (starts >= 0) & (ends >= 0)
        parts.append(np.stack([name, first + units.rows[place],
                               np.where(has_pieces, starts, -1),
                               np.where(has_pieces, ends, -1)], 1))
  return np.concatenate(parts)


def _find_patterns(patterns: dict[int, Sequence[str]], corpus: Corpus) -> np.ndarray:
  """`[F, 4]` int64: question, row, start, inclusive end of what the patterns match."""
  questions_of: dict[str, list[int]] = {}
  for question, group in patterns.items():
    for answer in dict.fromkeys(group):
      questions_of.setdefault(answer, []).append(question)
  places: set[tuple[int, int, int, int]] = set()
  for row, text in enumerate(corpus.texts if patterns else ()):
    decoded = text.decode("utf-8")
    for answer, questions in questions_of.items():
      for match in compile_pattern(answer).whole_words(decoded):
        start, end = _tokens_of(match, decoded, corpus, row)
        places.update((question, row, start, end) for question in questions)
  return np.array(sorted(places), np.int64).reshape(-1, 4)


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


def stored_occurrences(answers: Sequence[Sequence[str]], corpus: Corpus,
                       tokenizer: Tokenizer, regex: Sequence[bool] | None = None
                       ) -> Occurrences:
  """As `find_occurrences`, found once for a store and kept beside it."""
  asked = json.dumps([[list(group) for group in answers], regex and list(map(bool, regex))])
  settings = {"version": 1, "answers": hashlib.sha256(asked.encode()).hexdigest()}
  return Occurrences(**derived(corpus, "places_of_answers", settings, lambda new: new.append(
      **vars(find_occurrences(answers, corpus, tokenizer, regex)))))


def find_occurrences(answers: Sequence[Sequence[str]], corpus: Corpus,
                     tokenizer: Tokenizer, regex: Sequence[bool] | None = None
                     ) -> Occurrences:
  """Finds every place in the bodies of the corpus where an answer stands.

  Time is linear in the corpus for each length of answer, whatever the number of
  questions. Answers without words (empty, or of what is not seen) are never found.

  Args:
    answers: for each of Q questions, its answers.
    corpus: where to look.
    tokenizer: the one that made the corpus.
    regex: for each question, whether its answers are patterns (CuratedTREC): those are
      searched in the text, block by block and pattern by pattern, and a match counts
      that begins and ends with a word. None: no question has patterns.
  """
  flags = regex if regex is not None else [False] * len(answers)
  numbers, pairs, spelling = _number(
      [() if flag else group for group, flag in zip(answers, flags, strict=True)], tokenizer)
  places = _find(corpus, spelling, _by_length(numbers))
  # Every place of an answer, for every question that has it: `pairs` is sorted.
  first = np.searchsorted(pairs[:, 0], places[:, 0], side="left")
  count = np.searchsorted(pairs[:, 0], places[:, 0], side="right") - first
  place = np.repeat(np.arange(len(places)), count)
  within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
  question = pairs[first[place] + within, 1]
  matched = _find_patterns({i: answers[i] for i in np.flatnonzero(flags)}, corpus)
  all_places = np.concatenate([np.stack([question, *places[place, 1:].T], 1), matched])
  question, rows, starts, ends = _sorted(all_places, len(corpus.body_ids)).T
  splits = np.searchsorted(question, np.arange(len(answers) + 1))
  rows, starts, ends = (column.astype(np.int32) for column in (rows, starts, ends))
  return Occurrences(rows, starts, ends, splits.astype(np.int64))
