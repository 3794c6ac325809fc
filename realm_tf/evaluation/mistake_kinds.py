"""Why an answer is wrong: a kind for each, so that it shows which part to mend.

Plain Python: no TensorFlow.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bm25s.stopwords import STOPWORDS_EN

from realm_tf.datasets.questions import Question
from realm_tf.evaluation import metrics
from realm_tf.text.answers import normalize
from realm_tf.text.words import words


class MistakeKind(NamedTuple):
  """A kind of mistake."""
  title: str
  meaning: str


MISTAKE_KINDS = {
    "near": MistakeKind(
        "right but unlisted", "near a right answer, perhaps as right, but not listed"),
    "misread": MistakeKind(
        "retrieved and misread", "a passage that was read holds a right answer"),
    "below": MistakeKind(
        "retrieved too low",
        "a passage holds a right answer, but below those that were read"),
    "missed": MistakeKind(
        "not retrieved", "no passage that was retrieved holds a right answer"),
    "absent": MistakeKind("not in the corpus", "no passage at all holds a right answer")}

_LEAST_F1 = 0.5  # of a part of an answer, to be near it: "Bell" of "Alexander Graham Bell"


def is_right(question: Question, prediction: str) -> bool:
  """By the published rule, as `exact_match`."""
  return metrics.exact_match(prediction, question.answers, question.regex)


def mistake_kind(question: Question, record: Mapping[str, Any]) -> tuple[str, str] | None:
  """The kind of a mistake, and what is near where it is `near`; None for a right answer.

  Never `absent`, which needs the corpus.

  Args:
    question: with its answers.
    record: of an evaluation, with `prediction`, `ranks` and `read_blocks`.
  """
  prediction = record["prediction"]
  if is_right(question, prediction):
    return None
  reason = _near(question, prediction)
  if reason:
    return "near", reason
  rank = record["ranks"]["answer"]
  if rank == metrics.NOT_FOUND:
    return "missed", ""
  return "misread" if rank < record["read_blocks"] else "below", ""


def _near(question: Question, prediction: str) -> str:
  """In what a prediction is like a right answer; "" if in nothing."""
  if question.regex:
    return ("holds a right answer" if metrics.has_pattern(prediction, question.answers)
            else "")
  for answer in question.answers:
    if metrics.same_words(prediction, [answer]) or _bag(prediction) == _bag(answer) != []:
      return "has the same words"
  if metrics.has_answer(prediction, question.answers):
    return "holds a right answer"
  for answer in question.answers:
    if (metrics.has_answer(answer, [prediction])
        and not set(words(prediction)) <= set(STOPWORDS_EN)
        and metrics.f1(prediction, [answer]) >= _LEAST_F1):
      return "is part of a right answer"
    if _are_initials(prediction, answer) or _are_initials(answer, prediction):
      return "has the same initials"
  return ""


def _bag(text: str) -> list[str]:
  return sorted(normalize(text).split())


def _are_initials(short: str, long: str) -> bool:
  """Whether a text is the initials of another: "U.S." of "United States"."""
  letters = "".join(word for word in words(short) if word.isalnum())
  initials = [word[0] for word in words(long) if word.isalnum()]
  return len(initials) > 1 and letters == "".join(initials) and " " not in short.strip()
