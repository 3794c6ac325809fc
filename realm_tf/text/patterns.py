"""Answers that are regular expressions, as those of CuratedTREC."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import regex
from absl import logging

from realm_tf.errors import UserError
from realm_tf.text.words import cuts_no_word, words

# What plain answers hardly ever have: \s, .*, (?: and so on, )?, alternatives.
_SYNTAX = re.compile(r"\\[sSdDwWbB.()?*+]|\.[*+?]|\(\?|\)[?*+]|\|")
_LEAST, _SHARE = 5, 0.1
_PATTERN_SET, _PLAIN_SETS = "curatedtrec", ("naturalquestions", "nq-open", "webquestions")

SECONDS = 1.0  # for one text; a pattern that is not exponential takes some microseconds

_T = TypeVar("_T")


class Pattern:
  """The pattern of an answer, with the flags of ORQA's evaluation, that cannot hang.

  One that takes more than `SECONDS` for a text matches nothing from then on; a warning
  names it. (The library `regex` has time limits, which `re` has not; all else is the same,
  but that its \\w has combining marks too, and no fractions.)
  """

  def __init__(self, pattern: str):
    """Raises `UserError` where the pattern is malformed, for `re` too."""
    self._pattern, self._hangs = pattern, False
    flags = re.IGNORECASE | re.UNICODE | re.MULTILINE
    try:
      re.compile(pattern, flags)
      self._compiled = regex.compile(pattern, int(flags))
    except (re.error, regex.error, ValueError, OverflowError, RecursionError) as error:
      raise UserError(
          f"answer pattern {pattern!r}: not a regular expression ({error})") from None

  def begins(self, text: str) -> bool:
    """Whether it matches from the start of the text, as ORQA scores a prediction."""
    return self._run(self._compiled.match, text) is not None

  def is_in(self, text: str) -> bool:
    """Whether it matches anywhere, within words too."""
    return self._run(self._compiled.search, text) is not None

  def is_all_of(self, text: str) -> bool:
    """Whether it matches the whole text, less spaces around it, and that has words."""
    text = text.strip()
    return bool(words(text)) and self._run(self._compiled.fullmatch, text) is not None

  def whole_words(self, text: str) -> Iterator[tuple[int, int]]:
    """Characters [start, end) of its matches that cut no word, less spaces around them."""
    for start, end in self._run(self._spans, text) or ():
      match = text[start:end]
      start, end = end - len(match.lstrip()), start + len(match.rstrip())
      if words(match) and cuts_no_word(text, start) and cuts_no_word(text, end):
        yield start, end

  def _spans(self, text: str, timeout: float) -> list[tuple[int, int]]:
    return [match.span() for match in self._compiled.finditer(text, timeout=timeout)]

  def _run(self, search: Callable[..., _T], text: str) -> _T | None:
    if self._hangs:
      return None
    try:
      return search(text, timeout=SECONDS)
    except (TimeoutError, MemoryError):
      self._hangs = True
      logging.warning("answer pattern %r: takes more than %g seconds for a text of %d "
                      "characters; from here on it matches nothing", self._pattern,
                      SECONDS, len(text))
      return None


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Pattern:
  """The pattern of an answer, made once; errors as of `Pattern`."""
  return Pattern(pattern)


def are_patterns(name: str, answers: Iterable[Sequence[str]]) -> bool:
  """Whether the answers of a data set are patterns: by its name, or by their look.

  Args:
    name: of the file. ORQA's is `CuratedTrec.resplit.{train,dev,test}.jsonl`.
    answers: of each question. They are patterns if a tenth of the questions, and five
      at least, have the syntax of patterns in an answer.
  """
  name = name.lower()
  if _PATTERN_SET in name or any(plain in name for plain in _PLAIN_SETS):
    return _PATTERN_SET in name
  looks = [any(_SYNTAX.search(answer) for answer in group) for group in answers]
  return sum(looks) >= max(_LEAST, _SHARE * len(looks))
