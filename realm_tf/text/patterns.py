"""Answers that are regular expressions, as those of CuratedTREC."""

import functools
import re
from collections.abc import Iterable, Sequence

from realm_tf.errors import UserError

# What plain answers hardly ever have: \s, .*, (?: and so on, )?, alternatives.
_SYNTAX = re.compile(r"\\[sSdDwWbB.()?*+]|\.[*+?]|\(\?|\)[?*+]|\|")
_LEAST, _SHARE = 5, 0.1
_PATTERN_SET, _PLAIN_SETS = "curatedtrec", ("naturalquestions", "nq-open", "webquestions")


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern:
  """The pattern of an answer, with the flags of ORQA's evaluation.

  Raises:
    UserError: it is malformed.
  """
  try:
    return re.compile(pattern, re.IGNORECASE | re.UNICODE | re.MULTILINE)
  except re.error as error:
    raise UserError(
        f"answer pattern {pattern!r}: not a regular expression ({error})") from None


def are_patterns(name: str, answers: Iterable[Sequence[str]]) -> bool:
  """Whether the answers of a data set are patterns: by its name, or by their look.

  Args:
    name: of the file. ORQA's is `CuratedTrec.resplit.{train,dev,test}.jsonl`.
    answers: of each question. They are patterns if a tenth of the questions, and five
      at least, have the syntax of patterns in an answer.
  """
  name = name.lower()
  if _PATTERN_SET in name or any(known in name for known in _PLAIN_SETS):
    return _PATTERN_SET in name
  looks = [any(_SYNTAX.search(answer) for answer in group) for group in answers]
  return sum(looks) >= max(_LEAST, _SHARE * len(looks))
