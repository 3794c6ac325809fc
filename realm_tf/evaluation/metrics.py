"""Scores of an answer and of a ranking. Plain Python: no TensorFlow.

Two rules say what is right. By words (`realm_tf.text.words`) a passage has an answer, and a
prediction is one, if training counts it as gold; so recall is told. By the published rule,
of SQuAD and ORQA, so are exact match and F1, and whatever is compared with papers; those
functions say "published". `docs/evaluation.md` has examples of where the two differ.

Glossary: a rank is the position of the first passage that holds an answer,
counted from 0; `NOT_FOUND` where no passage does.
"""

import collections
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from realm_tf.text.answers import normalize
from realm_tf.text.patterns import compile_pattern
from realm_tf.text.words import spelled, words

NOT_FOUND = -1
_DRAWN_AT_ONCE = 1 << 20  # numbers, which bounds memory


def exact_match(prediction: str, answers: Iterable[str], regex: bool = False) -> bool:
  """Whether the prediction equals any answer, both in normal form: the published rule.

  Where answers are patterns: `regex_match`.
  """
  if regex:
    return regex_match(prediction, answers)
  normal = normalize(prediction)
  return any(normal == normalize(answer) for answer in answers)


def token_f1(prediction: Sequence[str], answer: Sequence[str]) -> float:
  """`f1` of the words of two normal forms."""
  # Two empty bags agree: an answer such as "The" has no token left.
  if not prediction or not answer:
    return float(prediction == answer)
  common = collections.Counter(prediction) & collections.Counter(answer)
  return 2.0 * common.total() / (len(prediction) + len(answer))


def f1(prediction: str, answers: Iterable[str], regex: bool = False) -> float:
  """The best overlap of tokens (harmonic mean) with any of the answers; 0 for patterns."""
  if regex:
    return 0.0
  tokens = normalize(prediction).split()
  return max((token_f1(tokens, normalize(a).split()) for a in answers), default=0.0)


def regex_match(prediction: str, patterns: Iterable[str]) -> bool:
  """Whether any pattern matches from the start of the prediction: the published rule."""
  return any(compile_pattern(pattern).begins(prediction) for pattern in patterns)


def same_words(prediction: str, answers: Iterable[str], regex: bool = False) -> bool:
  """Whether the prediction is, word by word, an answer: gold in training.

  Where answers are patterns: whether one matches the whole prediction.
  """
  if regex:
    return any(compile_pattern(pattern).is_all_of(prediction) for pattern in answers)
  predicted = words(prediction)
  return bool(predicted) and any(predicted == words(answer) for answer in answers)


# A passage is retrieved for many questions.
_spelled = functools.lru_cache(maxsize=1 << 14)(spelled)


def answer_finder(answers: Iterable[str]) -> Callable[[str], bool]:
  """`has_answer` for one set of answers and many texts."""
  wanted = tuple(filter(str.strip, map(spelled, answers)))

  def find(text: str) -> bool:
    text = _spelled(text)
    return any(answer in text for answer in wanted)

  return find


def has_answer(text: str, answers: Iterable[str]) -> bool:
  """Whether the words of an answer stand in the text: 'art' is never in 'party'."""
  return answer_finder(answers)(text)


def has_pattern(text: str, patterns: Iterable[str]) -> bool:
  """`has_answer` for answers that are regular expressions: one matches whole words."""
  return any(any(compile_pattern(pattern).whole_words(text)) for pattern in patterns)


def rank_of_answer(
    texts: Iterable[str], answers: Iterable[str], regex: bool = False) -> int:
  """The rank of the first text that holds an answer, or `NOT_FOUND`."""
  answers = tuple(answers)
  return _rank(texts, (lambda text: has_pattern(text, answers)) if regex
               else answer_finder(answers))


def rank_of_substring(
    texts: Iterable[str], answers: Iterable[str], regex: bool = False) -> int:
  """`rank_of_answer` by the published rule: an answer counts within words too.

  As ORQA's op HasAnswer, which compares characters, case and all; a pattern is searched
  anywhere, as in DPR.
  """
  answers = tuple(answers)
  if regex:
    return _rank(texts, lambda text: any(compile_pattern(a).is_in(text) for a in answers))
  return _rank(texts, lambda text: any(answer in text for answer in answers))


def _rank(texts: Iterable[str], find: Callable[[str], bool]) -> int:
  return next((rank for rank, text in enumerate(texts) if find(text)), NOT_FOUND)


def recall_at(ranks: Sequence[int], ks: Sequence[int]) -> Mapping[int, float]:
  """The share of questions with an answer among the first k passages, for each k."""
  if not len(ranks):
    raise ValueError("recall_at: no ranks given")
  rank = np.asarray(ranks)
  return {k: float(np.mean((rank != NOT_FOUND) & (rank < k))) for k in ks}


def interval(
    values: Sequence[float] | np.ndarray, seed: int, samples: int = 1000
) -> tuple[float, float]:
  """A 95 % interval of the mean, by drawing the values anew with replacement.

  Of the differences between two sets of answers to the same questions it is the paired
  bootstrap. Source: Efron and Tibshirani 1993, the percentile interval; Koehn 2004.
  """
  if not len(values):
    raise ValueError("interval: no values given")
  drawn = np.asarray(values, dtype=np.float64)
  generator = np.random.default_rng(seed)
  at_once = max(1, _DRAWN_AT_ONCE // drawn.size)
  means = np.concatenate([
      drawn[generator.integers(drawn.size, size=[min(at_once, samples - first), drawn.size])
            ].mean(1) for first in range(0, samples, at_once)])
  low, high = np.percentile(means, [2.5, 97.5])
  return float(low), float(high)


def sign_test(differences: Sequence[float] | np.ndarray, seed: int, samples: int = 10000
              ) -> float:
  """p of a paired permutation test, two-sided: that the mean of differences is chance.

  If it makes no difference which of two systems gave which answer, the sign of each
  difference is a toss: p is the share of tosses that give a mean as far from 0. Source:
  Noreen 1989 (approximate randomization), with the observed one counted among the tosses.
  """
  values = np.asarray(differences, dtype=np.float64)
  values = values[values != 0]
  if not values.size:
    return 1.0
  generator = np.random.default_rng(seed)
  observed, as_far = abs(values.sum()), 0
  at_once = max(1, _DRAWN_AT_ONCE // values.size)
  for first in range(0, samples, at_once):
    shape = [min(at_once, samples - first), values.size]
    tossed = np.where(generator.integers(2, size=shape, dtype=np.int8), values, -values)
    as_far += int(np.sum(np.abs(tossed.sum(1)) >= observed - 1e-9))
  return (1 + as_far) / (1 + samples)
