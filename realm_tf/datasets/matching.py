"""Where the answers stand in the corpus: once per data set, never in a training step.

An answer stands somewhere if its wordpieces do, from the start of a word to the end
of one: "art" is never found in "party".

Shape letters: Q questions, A different answers, L pieces of an answer, T tokens of a
part of the corpus, F places found.
"""

import dataclasses
import typing
from typing import Iterator, Sequence

import numpy as np

from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.store import Corpus
from realm_tf.text.patterns import compile_pattern
from realm_tf.text.tokenizer import Tokenizer

_TOKENS_PER_PART = 1 << 22  # bounds memory: some hundred MB at the most
_TEXTS_PER_CALL = 1 << 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclasses.dataclass(frozen=True, eq=False)
class Occurrences:
  """Places of answers, by question, then by row, start and end; none twice.

  Attributes:
    rows: `[F]` int32, the block.
    starts: `[F]` int32, index in the block's `body_ids` of the first piece.
    ends: `[F]` int32, and of the last (inclusive).
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


def _tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> list[tuple[int, ...]]:
  sequences: list[tuple[int, ...]] = []
  for first in range(0, len(texts), _TEXTS_PER_CALL):
    part = [text.encode("utf-8") for text in texts[first:first + _TEXTS_PER_CALL]]
    sequences.extend(map(tuple, tokenizer.tokenize(part).to_list()))
  return sequences


def _number(answers: Sequence[Sequence[str]], tokenizer: Tokenizer
            ) -> tuple[dict[tuple[int, ...], int], np.ndarray]:
  """Numbers the different wordpiece sequences; `[P, 2]` pairs (number, question)."""
  texts = {text: None for question in answers for text in question}
  sequence_of = dict(zip(texts, _tokenize(list(texts), tokenizer)))
  numbers: dict[tuple[int, ...], int] = {}
  pairs = set()
  for question, group in enumerate(answers):
    for text in group:
      sequence = sequence_of[text]
      # Two texts with an unknown piece may differ and yet have the same ids.
      if sequence and tokenizer.unk_id not in sequence:
        pairs.add((numbers.setdefault(sequence, len(numbers)), question))
  return numbers, np.array(sorted(pairs), np.int64).reshape(-1, 2)


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


def _candidates(tokens: np.ndarray, word_end: np.ndarray, row_end: np.ndarray,
                vocab_size: int, ids: np.ndarray) -> np.ndarray:
  """Places in `[T]` tokens where an answer of `[A, L]` ids could begin, cheaply.

  Each begins at a word: a tokenised answer never starts with a continuation.
  """
  length = ids.shape[1]
  firsts, lasts = (np.zeros(vocab_size, bool) for _ in range(2))
  firsts[ids[:, 0]] = True
  lasts[ids[:, -1]] = True
  places = np.flatnonzero(firsts[tokens])
  places = places[places + length <= row_end[places]]
  last = places + length - 1
  return places[lasts[tokens[last]] & word_end[last]]


def _search(tokens: np.ndarray, places: np.ndarray, answers: _Answers
            ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields arrays of (place, answer) where the answer does stand at the place."""
  length = answers.ids.shape[1]
  hashes = _hash(tokens[places + i] for i in range(length))
  index = np.searchsorted(answers.hashes, hashes)
  while len(places):
    known = index < len(answers.hashes)
    known[known] = answers.hashes[index[known]] == hashes[known]
    places, index, hashes = places[known], index[known], hashes[known]
    # A hash is a hint only: the pieces themselves are compared.
    same = np.ones(len(places), bool)
    for i in range(length):
      same &= tokens[places + i] == answers.ids[index, i]
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


def _find(body: Ragged, continuation: np.ndarray, groups: list[_Answers]) -> np.ndarray:
  """`[F, 4]` int64: answer, row, start, inclusive end."""
  found = [np.zeros((0, 4), np.int64)]
  for first, end in _parts(body):
    splits = body.splits[first:end + 1] - body.splits[first]
    tokens = body.values[body.splits[first]:body.splits[end]]
    row = np.repeat(np.arange(end - first), np.diff(splits))
    row_end = splits[1:][row]
    word_end = np.append(~continuation[tokens[1:]], True) if len(tokens) else tokens > 0
    word_end[splits[1:][np.diff(splits) > 0] - 1] = True
    for answers in groups:
      places = _candidates(tokens, word_end, row_end, len(continuation), answers.ids)
      for place, name in _search(tokens, places, answers):
        start = place - splits[row[place]]
        found.append(np.stack(
            [name, first + row[place], start, start + answers.ids.shape[1] - 1], 1))
  return np.concatenate(found)


def _find_patterns(patterns: dict[int, Sequence[str]], corpus: Corpus,
                   continuation: np.ndarray) -> np.ndarray:
  """`[F, 4]` int64: question, row, start, inclusive end of what the patterns match."""
  questions_of: dict[str, list[int]] = {}
  for question, group in patterns.items():
    for pattern in dict.fromkeys(group):
      questions_of.setdefault(pattern, []).append(question)
  compiled = [(compile_pattern(pattern), questions)
              for pattern, questions in questions_of.items()]
  found: set[tuple[int, int, int, int]] = set()
  for row, text in enumerate(corpus.texts if patterns else ()):
    word = ~np.append(continuation[corpus.body_ids.row(row)], False)  # a word begins, ends
    starts, ends = (
        {int(byte): place for place, byte in enumerate(offsets.row(row))
         if word[place + after]}
        for offsets, after in ((corpus.body_starts, 0), (corpus.body_ends, 1)))
    decoded = text.decode("utf-8")
    for searched, questions in compiled:
      for match in searched.finditer(decoded):
        first, last = (len(decoded[:place].encode("utf-8")) for place in match.span())
        if match.group() and first in starts and last in ends:
          found.update((question, row, starts[first], ends[last])
                       for question in questions)
  return np.array(sorted(found), np.int64).reshape(-1, 4)


def find_occurrences(answers: Sequence[Sequence[str]], corpus: Corpus,
                     tokenizer: Tokenizer, regex: Sequence[bool] | None = None
                     ) -> Occurrences:
  """Finds every place in the bodies of the corpus where an answer stands.

  Time is linear in the corpus for each length of answer, whatever the number of
  questions. Answers that are empty, or hold a piece that the vocabulary does not
  know, are never found.

  Args:
    answers: for each of Q questions, its answers.
    corpus: where to look.
    tokenizer: the one that made the corpus.
    regex: for each question, whether its answers are patterns (CuratedTREC): those are
      searched in the text, block by block and pattern by pattern, and a match counts
      that begins and ends with a word. None: no question has patterns.
  """
  flags = regex if regex is not None else [False] * len(answers)
  numbers, pairs = _number(
      [() if flag else group for group, flag in zip(answers, flags, strict=True)], tokenizer)
  found = _find(corpus.body_ids, tokenizer.continuation, _by_length(numbers))
  # Every place of an answer, for every question that has it: `pairs` is sorted.
  first = np.searchsorted(pairs[:, 0], found[:, 0], side="left")
  count = np.searchsorted(pairs[:, 0], found[:, 0], side="right") - first
  place = np.repeat(np.arange(len(found)), count)
  within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
  question = pairs[first[place] + within, 1]
  _, rows, starts, ends = found[place].T
  matched = _find_patterns({i: answers[i] for i in np.flatnonzero(flags)}, corpus,
                           tokenizer.continuation)
  question, rows, starts, ends = np.concatenate(
      [np.stack([question, rows, starts, ends], 1), matched]).T
  order = np.lexsort((ends, starts, rows, question))
  splits = np.searchsorted(question[order], np.arange(len(answers) + 1))
  rows, starts, ends = (column[order].astype(np.int32) for column in (rows, starts, ends))
  return Occurrences(rows, starts, ends, splits.astype(np.int64))
