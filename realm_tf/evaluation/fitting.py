"""Fits a calibration on dev questions.

Each answer string that was read is given a probability p, and is right or is not: the fit
takes the least sum of -log p over right ones and -log(1 - p) over the others (log loss, a
proper score: it is least for p as often as right, so that confidence is calibrated, and it
falls where right answers come before wrong ones, so that ranking is). Questions of which
nothing right was read count: they ask for small probabilities. What is fitted are a
temperature (Guo et al. 2017), the weight of the retriever's score (as Karpukhin et al. 2020
and Fajcik et al. 2021 fuse scores on dev) and whether equal answers are added, on a grid:
two numbers and a yes or no cannot learn some hundred questions by heart. What answers fewer
dev questions right than the published rule, by more than one standard deviation, is not
taken. Then, by the probabilities that this gives, the answers of `agreement` are taken if the
mean of exact match and F1, which they are chosen by, is higher and no fewer are right, again
within one standard deviation: probabilities stay as they are, so log loss cannot judge this.
Last, how often the answers that are given are right, by their probabilities (Platt scaling):
a right answer has many forms of which the listed are some, so the first fit, which is of all
of them, leaves the one that is given too unsure.

Shape letters: Q questions, R read blocks, S spans of each, Y temperatures, A answer strings.
"""

import dataclasses
import functools
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import agreement, confidence, metrics
from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.evaluation.calibration import PUBLISHED, Calibration
from realm_tf.progress import progress
from realm_tf.text.answers import normalize

LEAST = 20  # questions, to which two numbers can be fitted
_LEAST_GIVEN = 100  # answers, by which probabilities are rescaled
_SPANS = 32  # of each block
_TEMPERATURES = 2.0 ** (np.arange(-8, 25) / 4)  # 1/4 to 64
_WEIGHTS = np.append(0.0, 2.0 ** (np.arange(-12, 7) / 2))  # 0, and 1/64 to 8
_ONE = int(np.flatnonzero(_WEIGHTS == 1)[0])
_COARSE = 4  # of so many places one is tried at first


class AnswerStrings(NamedTuple):
  """Answer strings of all questions; strings of one normal form are one, in a question."""
  string_of_span: np.ndarray  # [Q, R * S] int: the number of a span's string, in [0, A)
  owner: np.ndarray  # [A] int: its question, ascending
  form: np.ndarray  # [A] str: the normal form, or the text of which nothing is left
  right: np.ndarray  # [A] bool
  f1: np.ndarray  # [A] float


def strings(questions: Sequence[Question], texts: Iterable[Iterable[bytes]]) -> AnswerStrings:
  """Tells the answers of [Q, R * S] spans apart, and how good they are."""
  string_of_span: list[list[int]] = []
  owner: list[int] = []
  forms: list[str] = []
  right: list[bool] = []
  f1: list[float] = []
  for number, (question, row) in enumerate(zip(questions, texts, strict=True)):
    number_of: dict[str, int] = {}
    judge = _judge(question)
    places = []
    for text in (text.decode() for text in row):
      normal = normalize(text)
      form = normal or text
      if form not in number_of:
        number_of[form] = len(owner)
        owner.append(number)
        forms.append(form)
        is_right, overlap = judge(text, normal)
        right.append(is_right)
        f1.append(overlap)
      places.append(number_of[form])
    string_of_span.append(places)
  return AnswerStrings(np.array(string_of_span), np.array(owner), np.array(forms, object),
                       np.array(right, bool), np.array(f1))


def _judge(question: Question) -> Callable[[str, str], tuple[bool, float]]:
  """How good a text and its normal form are: `metrics.exact_match` and `metrics.f1`."""
  if question.regex:
    return lambda text, _: (metrics.regex_match(text, question.answers), 0.0)
  wanted = list(map(normalize, question.answers))
  words = [answer.split() for answer in wanted]
  return lambda _, normal: (normal in wanted, max(
      (metrics.token_f1(normal.split(), answer) for answer in words), default=0.0))


class Answered(NamedTuple):
  """The answers to all questions."""
  probability: np.ndarray  # [Q] float
  right: np.ndarray  # [Q] bool
  f1: np.ndarray  # [Q] float

  @property
  def worth(self) -> float:
    """The mean of exact match and F1."""
    return float(self.right.mean() + self.f1.mean()) / 2


class Dev:
  """What was read for dev questions: what any calibration would have answered."""

  def __init__(self, logit: np.ndarray, total: np.ndarray, score: np.ndarray,
               answer_strings: AnswerStrings):
    """logit [Q, R, S], total [Q, R, Y], score [Q, R]: see `answer_spans.Evidence`."""
    self._logit, self._score = (value.astype(np.float64) for value in (logit, score))
    self._total, self._strings = total.astype(np.float64), answer_strings
    flat = answer_strings.string_of_span.ravel()
    self._order = np.argsort(flat, kind="stable")
    self._groups = np.searchsorted(flat[self._order], np.arange(len(answer_strings.owner)))
    self._firsts = np.searchsorted(answer_strings.owner, np.arange(len(logit)))

  def probabilities(self, weight: float, temperature: int, merged: bool) -> np.ndarray:
    """[A]: those of all strings, at the temperature of that number."""
    block = weight * self._score / _TEMPERATURES[temperature]  # [Q, R]
    totals = self._total[:, :, temperature] + block
    with np.errstate(invalid="ignore"):  # a question whose blocks have no word
      log_sum = np.logaddexp.reduce(totals, 1, keepdims=True)
    log_sum = np.where(np.isfinite(log_sum), log_sum, 0.0)
    share = np.exp(self._logit / _TEMPERATURES[temperature]
                   + (block - log_sum)[:, :, None])  # [Q, R, S]
    over = np.add if merged else np.maximum
    return over.reduceat(share.ravel()[self._order], self._groups)

  def answered(self, probabilities: np.ndarray, by_agreement: bool = False) -> Answered:
    """What is answered by the probabilities [A] of all strings."""
    best = (self._most_agreeing if by_agreement else self._most_probable)(probabilities)
    return Answered(probabilities[best], self._strings.right[best], self._strings.f1[best])

  def _most_probable(self, probabilities: np.ndarray) -> np.ndarray:
    """Strings, [Q]; of equal ones the first: at the best span, as answering takes it."""
    most = np.maximum.reduceat(probabilities, self._firsts)
    best = probabilities == most[self._strings.owner]
    place = np.where(best, np.arange(len(best)), len(best))
    return np.minimum.reduceat(place, self._firsts)

  def _most_agreeing(self, probabilities: np.ndarray) -> np.ndarray:
    """Strings, [Q]: see `agreement.most_agreeing`, which need not see improbable ones."""
    owner, form = self._strings.owner, self._strings.form
    order = np.lexsort([-probabilities, owner])
    rank = np.arange(len(order)) - self._firsts[owner]  # an owner's stay where they are
    kept = rank < agreement.COMPARED
    number = np.zeros([len(self._firsts), agreement.COMPARED], int)
    probability = np.full(number.shape, -1.0, np.float32)
    number[owner[kept], rank[kept]] = order[kept]
    probability[owner[kept], rank[kept]] = probabilities[order[kept]]
    best = agreement.most_agreeing(tf.constant(form[number].tolist(), shape=number.shape),
                                   tf.constant(probability)).numpy()
    return number[np.arange(len(best)), best]

  def log_loss(self, probabilities: np.ndarray) -> float:
    """The log loss of a question, on average."""
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    nats = np.where(self._strings.right, -np.log(p), -np.log1p(-p))
    return float(nats.sum() / len(self._firsts))


def collect_dev(answerer: QuestionAnswerer, questions: Sequence[Question], batch_size: int
                ) -> Dev:
  """Reads the blocks of dev questions, once."""
  parts = list(_read(answerer, questions, batch_size))
  logit, total, score = (np.concatenate(column) for column in zip(*(part[:3]
                                                                    for part in parts)))
  return Dev(logit, total, score,
             strings(questions, (row for part in parts for row in part[3])))


def _read(answerer: QuestionAnswerer, questions: Sequence[Question], batch_size: int
          ) -> Iterator[tuple[Any, ...]]:
  temperatures = tf.constant(_TEMPERATURES, tf.float32)

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
  def run(batch):
    return answerer.evidence(batch, _SPANS, temperatures)

  with progress(len(questions), "calibrate", "question") as bar:
    for first in range(0, len(questions), batch_size):
      batch = questions[first:first + batch_size]
      read_spans, texts = run(tf.constant([question.question for question in batch]))
      # Blocks are as long as the longest of the batch, and shorter ones have fewer spans.
      missing = _SPANS - read_spans.logit.shape[2]
      texts = texts.numpy().reshape(read_spans.logit.shape)
      yield (np.pad(read_spans.logit, [(0, 0), (0, 0), (0, missing)],
                    constant_values=-np.inf),
             read_spans.total.numpy(), read_spans.score.numpy(),
             np.pad(texts, [(0, 0), (0, 0), (0, missing)],
                    constant_values=b"").reshape(len(batch), -1))
      bar.update(len(batch))


def fit(dev: Dev) -> Calibration:
  """The calibration of least log loss on dev."""
  def loss(place: tuple[int, int], merged: bool) -> float:
    p = dev.probabilities(_WEIGHTS[place[0]], place[1], merged)
    return dev.log_loss(p) if _no_fewer(dev.answered(p), published) else np.inf

  temperature_one = int(np.flatnonzero(_TEMPERATURES == 1)[0])
  published = dev.answered(dev.probabilities(1.0, temperature_one, False))
  losses = {}
  for merged in (False, True):
    place, value = _descend(functools.partial(loss, merged=merged))
    losses[value, merged] = place
  (value, merged), (weight, temperature) = min(losses.items())
  p = dev.probabilities(_WEIGHTS[weight], temperature, merged)
  probable, agreeing = dev.answered(p), dev.answered(p, by_agreement=True)
  agrees = agreeing.worth > probable.worth and _no_fewer(agreeing, probable)
  answered = agreeing if agrees else probable
  slope, offset = 1.0, 0.0
  if len(answered.right) >= _LEAST_GIVEN:
    slope, offset = confidence.platt(answered.probability, answered.right)
    answered = answered._replace(
        probability=confidence.rescaled(answered.probability, slope, offset))
  return dataclasses.replace(
      PUBLISHED, retriever_weight=float(_WEIGHTS[weight]),
      temperature=float(_TEMPERATURES[temperature]), merged=merged, agreement=agrees,
      slope=slope, offset=offset, questions=len(answered.right),
      curve=confidence.curve(answered.probability, answered.right), figures={
          "log_loss": value, **_figures(answered),
          **_figures(probable, "_most_probable"), **_figures(agreeing, "_agreeing"),
          **_figures(published, "_published")})


def _no_fewer(answered: Answered, other: Answered) -> bool:
  """Whether no fewer answers are right, but for one standard deviation."""
  # Paired: where both are right or both wrong, the rules do not differ.
  lost = other.right.sum() - answered.right.sum()
  return bool(lost <= np.sqrt((other.right != answered.right).sum()))


def _figures(answered: Answered, suffix: str = "") -> dict[str, float]:
  figures = {"exact_match": float(answered.right.mean()), "f1": float(answered.f1.mean()),
             **confidence.confidence_figures(answered.probability, answered.right)}
  return {f"{name}{suffix}": value for name, value in figures.items()}


def _descend(loss: Callable[[tuple[int, int]], float]) -> tuple[tuple[int, int], float]:
  """From the best place of a coarse grid of weights and temperatures to a lowest one.

  A weight of 1 is in the coarse grid, so that one place at least has a finite loss.
  """
  cached = functools.cache(loss)
  weights = {0, *range(_ONE % _COARSE, len(_WEIGHTS), _COARSE)}
  best = min(((i, j) for i in sorted(weights)
              for j in range(0, len(_TEMPERATURES), _COARSE)), key=cached)
  while True:
    around = [(i, j) for i in range(best[0] - 1, best[0] + 2)
              for j in range(best[1] - 1, best[1] + 2)
              if 0 <= i < len(_WEIGHTS) and 0 <= j < len(_TEMPERATURES)]
    lower = min(around, key=cached)
    if cached(lower) >= cached(best):
      return best, cached(best)
    best = lower
