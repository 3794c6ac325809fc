"""The pieces of a corpus, so that words which are the same have the same ids.

Word pieces tell a word from all others, and then they are its ids. They do not where the
vocabulary lacks it ([UNK]), or where BERT sees other words than `realm_tf.text.words`, by
which it is told what stands where: "£5" is one to BERT, and two dashes differ. Such words
are few; they are looked up in the text, and respelled.

Shape letters: T tokens of some rows, U units of the same rows, C characters.
"""

import bisect
from collections.abc import Iterable, Sequence

import numpy as np

from realm_tf.corpus.store import Corpus
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.words import is_plain, words

_TEXTS_PER_CALL = 1 << 16


class Spelling:
  """The ids of the words that are searched for; all others have one id together.

  Attributes:
    continuation: bool array by id: it goes on with a word.
  """

  def __init__(self, searched: Iterable[str], tokenizer: Tokenizer):
    """Numbers the words, each in the form that `words` gives it."""
    self.unk_id, self._lower_case = tokenizer.unk_id, tokenizer.lower_case
    self._other = own = tokenizer.vocab_size
    self._ids: dict[str, tuple[int, ...]] = {}
    unique = list(dict.fromkeys(searched))
    for word, pieces in zip(unique, _tokenize(unique, tokenizer), strict=True):
      if self.unk_id in pieces or not all(map(self.is_plain, word)):
        own += 1
        pieces = (own,)
      self._ids[word] = pieces
    self.continuation = np.append(tokenizer.continuation, [False] * (own + 1 - self._other))

  def is_plain(self, char: str) -> bool:
    """Whether BERT makes the same of a character as `words` does."""
    return is_plain(char, self._lower_case)

  def ids(self, word: str) -> tuple[int, ...]:
    return self._ids.get(word, (self._other,))


def _tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> list[tuple[int, ...]]:
  sequences: list[tuple[int, ...]] = []
  for first in range(0, len(texts), _TEXTS_PER_CALL):
    part = [text.encode("utf-8") for text in texts[first:first + _TEXTS_PER_CALL]]
    sequences.extend(map(tuple, tokenizer.tokenize(part).to_list()))
  return sequences


class Units:
  """Some rows of a corpus, respelled. A unit is a piece, or an id of a respelled word.

  Attributes:
    ids: [U] int.
    rows: [U] int: the row of each, counted from the first of these.
    row_ends: [U] int: the unit after the last one of the row.
    ends_word: [U] bool: the next one does not go on with the word.
  """

  def __init__(self, corpus: Corpus, first: int, end: int, spelling: Spelling):
    splits = corpus.body_ids.splits[first:end + 1]
    self._splits = splits - splits[0]
    self._texts: list[bytes] = corpus.texts[first:end].tolist()
    self._tokens, self._starts, self._ends = (
        column.part(first, end)
        for column in (corpus.body_ids, corpus.body_starts, corpus.body_ends))
    self._odd = self._odd_words(spelling)
    self._respell(spelling)
    lengths = np.diff(np.searchsorted(self._token, self._splits))
    self.rows = np.repeat(np.arange(end - first), lengths)
    self.row_ends = np.repeat(np.cumsum(lengths), lengths)
    self.ends_word = np.append(~spelling.continuation[self.ids[1:]], True)
    self.ends_word[np.cumsum(lengths)[lengths > 0] - 1] = True

  def _respell(self, spelling: Spelling) -> None:
    """Sets `ids`, and of each unit the token and, in a respelled word, which part it is."""
    size = len(self._tokens)
    counts = np.ones(size, int)
    units: list[tuple[int, int]] = []
    units_of: dict[bytes, list[tuple[int, int]]] = {}
    for begin, (after, _, surface) in self._odd.items():
      units_here = units_of.get(surface)
      if units_here is None:
        units_here = units_of[surface] = [
            (id, number) for number, word in enumerate(words(surface.decode("utf-8")))
            for id in spelling.ids(word)]
      counts[begin:after] = 0
      counts[begin] = len(units_here)
      units.extend(units_here)
    odd = np.zeros(size, bool)
    odd[list(self._odd)] = True
    changed = np.repeat(odd, counts)
    self._token = np.repeat(np.arange(size), counts)
    self.ids = np.repeat(self._tokens, counts)
    self._number = np.full(len(self.ids), -1, np.int32)
    if units:
      self.ids[changed], self._number[changed] = np.transpose(units)

  def _odd_words(self, spelling: Spelling) -> dict[int, tuple[int, int, bytes]]:
    """Words to respell: first token -> that of the next word, and the text up to there.

    The text is from the first token, or from the beginning of the row; its place in the
    row stands before it.
    """
    size, firsts = len(self._tokens), self._splits[:-1][np.diff(self._splits) > 0]
    goes_on = spelling.continuation[self._tokens]
    odd = self._tokens == spelling.unk_id
    odd[firsts] |= goes_on[firsts]  # of a word that was cut in two
    odd[self._of_odd_characters(spelling)] = True
    goes_on[firsts] = False
    begins = np.append(np.flatnonzero(~goes_on), size)
    number = np.unique(np.searchsorted(begins, np.flatnonzero(odd), "right") - 1)
    begin, after = begins[number], begins[number + 1]
    row = np.searchsorted(self._splits, begin, "right") - 1
    start = np.where(begin == self._splits[row], 0, self._starts[begin])
    starts = np.append(self._starts, 0)
    end = np.where(after == self._splits[row + 1], np.iinfo(np.int32).max, starts[after])
    return {first: (next_first, at, self._texts[text][at:until])
            for first, next_first, text, at, until in np.transpose(
                [begin, after, row, start, end]).tolist()}

  def _of_odd_characters(self, spelling: Spelling) -> np.ndarray:
    """Tokens with a character that BERT does not see as `words` does."""
    offsets = np.cumsum([0, *map(len, self._texts)])
    places = _odd_places(b"".join(self._texts), spelling)
    rows = np.searchsorted(offsets, places, "right") - 1
    starts = self._starts + np.repeat(offsets[:-1], np.diff(self._splits))
    tokens = np.searchsorted(starts, places, "right") - 1
    tokens = np.maximum(tokens, self._splits[rows])  # a mark before the first token
    return tokens[tokens < self._splits[rows + 1]]

  # Back to the tokens.

  def starts(self, units: np.ndarray) -> np.ndarray:
    """[F] units -> [F] tokens of their rows that begin where these do; -1 for none."""
    return self._tokens_of(units, ends=False)

  def ends(self, units: np.ndarray) -> np.ndarray:
    """[F] units -> [F] tokens of their rows that end where these do; -1 for none."""
    return self._tokens_of(units, ends=True)

  def _tokens_of(self, units: np.ndarray, ends: bool) -> np.ndarray:
    tokens = self._token[units]
    for place in np.flatnonzero(self._number[units] >= 0):
      tokens[place] = self._token_in_word(tokens[place], self._number[units[place]], ends)
    return np.where(tokens < 0, -1, tokens - self._splits[self.rows[units]])

  def _token_in_word(self, begin: int, number: int, ends: bool) -> int:
    """The token of a respelled word where its part `number` begins, or ends; or -1."""
    after, offset, surface = self._odd[begin]
    bounds = (self._ends if ends else self._starts)[begin:after] - offset

    def parts(text: bytes) -> list[str]:
      return words(text.decode("utf-8"))

    # The last token that has so many parts before it: others cut a part in two.
    count = number + ends
    token = bisect.bisect_right(bounds, count, key=lambda at: len(parts(surface[:at]))) - 1
    if token < 0:
      return -1
    before, behind = parts(surface[:bounds[token]]), parts(surface[bounds[token]:])
    if len(before) != count or before + behind != parts(surface):
      return -1
    # A syllable of several tokens (Hangul) begins with the first.
    return begin + (token if ends else bisect.bisect_left(bounds, bounds[token]))


def _odd_places(text: bytes, spelling: Spelling) -> np.ndarray:
  """Where in a UTF-8 text the characters are that BERT does not see as `words` does."""
  may_be = bytes(byte >= 0xC0 or byte < 0x80 and not spelling.is_plain(chr(byte))
                 for byte in range(256))
  places = np.flatnonzero(np.frombuffer(text.translate(may_be), bool))  # [C]
  data = np.frombuffer(text + bytes(3), np.uint8)
  lead = data[places].astype(np.int32)
  more = np.searchsorted([0xC0, 0xE0, 0xF0], lead, "right")  # bytes after the first
  codes = lead & np.array([0x7F, 0x1F, 0x0F, 0x07])[more]
  for i in (1, 2, 3):
    codes = np.where(more >= i, codes << 6 | data[places + i] & 0x3F, codes)
  distinct, inverse = np.unique(codes, return_inverse=True)
  odd = np.array([not spelling.is_plain(chr(code)) for code in distinct], bool)
  return places[odd[inverse]]
