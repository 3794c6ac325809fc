import dataclasses

import pytest

from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError
from realm_tf.evaluation import checks

_TEXTS = [b"A party.", "東京である".encode(), b"In 1990."]


def _questions(*answers, regex=False):
  return [Question(str(i), "q?", (answer,), regex) for i, answer in enumerate(answers)]


@pytest.mark.parametrize("answers, regex", [
    (["none", "party"], False), (["東京"], False), ([r"19\d\d"], True),
    (["1990", "art"], False)])
def test_one_answer_that_stands_somewhere_is_enough(answers, regex):
  checks.check_answerable(_questions(*answers, regex=regex), iter(_TEXTS), "x")


@pytest.mark.parametrize("answers, regex", [
    (["art"], False), ([r"20\d\d"], True), (["\u200b"], False), ([""], False)])
def test_questions_of_another_corpus(answers, regex):
  with pytest.raises(UserError, match="^x: no usable question: no answer of 1 stands"):
    checks.check_answerable(_questions(*answers, regex=regex), _TEXTS, "x")


def test_it_stops_at_the_first_text_that_holds_an_answer():
  texts = iter([b"none", b"a party", b"more"])
  checks.check_answerable(_questions("party"), texts, "x")
  assert list(texts) == [b"more"]


def test_gold_passages():
  questions = [dataclasses.replace(question, gold_passage=name, where=f"q.jsonl:{i}")
               for i, (question, name) in enumerate(zip(_questions(*"abc"), ["d", "", "e"]))]
  checks.check_gold_passages(questions, ["d", "e", "f"])
  with pytest.raises(UserError, match="^q.jsonl:2: field 'gold_passage': 'e' is no document"):
    checks.check_gold_passages(questions, ["d"])
