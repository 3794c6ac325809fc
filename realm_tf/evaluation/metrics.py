"""Scores of an answer and of a ranking. Plain Python: no TensorFlow.

Glossary: a rank is the position of the first passage that holds an answer,
counted from 0; `NOT_FOUND` where no passage does.
"""

import collections
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from realm_tf.text.patterns import compile_pattern

NOT_FOUND = -1

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize(text: str) -> str:
  """The official form for comparing answers, as in SQuAD and ORQA.

  Canonical decomposition, lower case, then without punctuation, without
  articles, and with single spaces, in this order.
  """
  text = unicodedata.normalize("NFD", text).lower().translate(_PUNCTUATION)
  return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answers: Iterable[str]) -> bool:
  """Whether the prediction equals any answer, both in normal form."""
  normal = normalize(prediction)
  return any(normal == normalize(answer) for answer in answers)


def _token_f1(prediction: Sequence[str], answer: Sequence[str]) -> float:
  # Two empty bags agree: an answer such as "The" has no token left.
  if not prediction or not answer:
    return float(prediction == answer)
  common = collections.Counter(prediction) & collections.Counter(answer)
  return 2.0 * common.total() / (len(prediction) + len(answer))


def f1(prediction: str, answers: Iterable[str]) -> float:
  """The best overlap of tokens (harmonic mean) with any of the answers."""
  tokens = normalize(prediction).split()
  return max((_token_f1(tokens, normalize(a).split()) for a in answers), default=0.0)


def regex_match(prediction: str, patterns: Iterable[str]) -> bool:
  """Whether any pattern matches from the start of the prediction, as in ORQA."""
  return any(compile_pattern(pattern).match(prediction) for pattern in patterns)


def _searchable(text: str) -> str:
  return " ".join(unicodedata.normalize("NFD", text).lower().split())


def _joins(character: str) -> bool:
  """Whether a character continues a word: letters, digits and their marks."""
  return character.isalnum() or unicodedata.category(character).startswith("M")


def _stands_in(answer: str, text: str) -> bool:
  start = text.find(answer) if answer else -1
  while start >= 0:
    end = start + len(answer)
    cut_left = start > 0 and _joins(text[start - 1]) and _joins(text[start])
    cut_right = end < len(text) and _joins(text[end - 1]) and _joins(text[end])
    if not cut_left and not cut_right:
      return True
    start = text.find(answer, start + 1)
  return False


def answer_finder(answers: Iterable[str]) -> Callable[[str], bool]:
  """`has_answer` for one set of answers and many texts."""
  wanted = tuple(_searchable(answer) for answer in answers)

  def find(text: str) -> bool:
    text = _searchable(text)
    return any(_stands_in(answer, text) for answer in wanted)

  return find


def has_answer(text: str, answers: Iterable[str]) -> bool:
  """Whether an answer stands in the text as whole tokens, whatever its case.

  A token is a run of letters, digits and their combining marks, or one other
  character: 'art' is in 'state-of-the-art', never in 'party'.
  """
  return answer_finder(answers)(text)


def has_pattern(text: str, patterns: Iterable[str]) -> bool:
  """`has_answer` for answers that are regular expressions."""
  return any(compile_pattern(pattern).search(text) for pattern in patterns)


def rank_of_answer(
    texts: Iterable[str], answers: Iterable[str], regex: bool = False) -> int:
  """The rank of the first text that holds an answer, or `NOT_FOUND`."""
  answers = tuple(answers)
  find = (lambda text: has_pattern(text, answers)) if regex else answer_finder(answers)
  return next((rank for rank, text in enumerate(texts) if find(text)), NOT_FOUND)


def recall_at(ranks: Sequence[int], ks: Sequence[int]) -> Mapping[int, float]:
  """The share of questions with an answer among the first k passages, for each k."""
  if not len(ranks):
    raise ValueError("recall_at: no ranks given")
  rank = np.asarray(ranks)
  return {k: float(np.mean((rank != NOT_FOUND) & (rank < k))) for k in ks}


def interval(
    values: Sequence[float], seed: int, samples: int = 1000) -> tuple[float, float]:
  """A 95 % interval of the mean, by drawing the values anew with replacement."""
  if not len(values):
    raise ValueError("interval: no values given")
  drawn = np.asarray(values, dtype=np.float64)
  generator = np.random.default_rng(seed)
  means = [generator.choice(drawn, drawn.size).mean() for _ in range(samples)]
  low, high = np.percentile(means, [2.5, 97.5])
  return float(low), float(high)
