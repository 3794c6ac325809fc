"""Dev questions are the same ones whatever is appended, and share no document with train."""

import collections

import pytest

from realm_tf.datasets import dev
from realm_tf.datasets.questions import Question


def _questions(count):
  return [Question(str(i), f"what is {i}?", ("a",)) for i in range(count)]


def _split(questions, groups=None, share=0.1, most=500):
  return dev.take_out(questions, groups or [q.question for q in questions], share, most)


def test_about_a_share_is_taken_and_none_is_lost():
  questions = _questions(3000)
  train, taken = _split(questions)
  assert 250 < len(taken) < 350
  assert sorted(train + taken, key=lambda q: int(q.id)) == questions
  assert train == [q for q in questions if q not in taken]


@pytest.mark.parametrize("most", [20, 500])
def test_a_file_that_grows_keeps_its_dev_questions(most):
  questions = _questions(1000)
  (train, before), (more_train, after) = (
      _split(questions[:count], most=most) for count in (400, 1000))
  assert before == after[:len(before)] and len(before) == min(most, len(before)) > 15
  assert more_train[:len(train)] == train
  assert len(after) == 20 if most == 20 else len(after) > 60


def test_what_is_asked_elsewhere_does_not_matter():
  questions = _questions(1000)
  taken = _split(questions)[1]
  assert _split(questions[::-1])[1] == taken[::-1]


@pytest.mark.parametrize("count, is_split", [(0, False), (29, False), (200, True)])
def test_of_few_there_are_none(count, is_split):
  questions = _questions(count)
  train, taken = _split(questions)
  assert bool(taken) == is_split and len(train) + len(taken) == count


def test_without_a_share_there_are_none():
  assert _split(_questions(300), share=0.0) == (_questions(300), [])


@pytest.mark.parametrize("most", [7, 500])
def test_groups_are_on_one_side(most):
  questions = _questions(2000)
  groups = [f"title {i * 7919 % 400}" for i in range(2000)]
  train, taken = _split(questions, groups, most=most)
  group_of = dict(zip((q.id for q in questions), groups))
  assert not {group_of[q.id] for q in train} & {group_of[q.id] for q in taken}
  sizes = collections.Counter(group_of[q.id] for q in taken)
  if most == 500:
    assert len(train) + len(taken) == 2000 and set(sizes.values()) == {5}
  else:
    assert len(taken) == 7


def test_a_group_of_more_than_the_share_is_trained_on():
  for name in map(str, range(30)):  # whatever its hash
    assert _split(_questions(60), [name] * 60) == (_questions(60), [])


def test_another_salt_takes_others_that_do_not_depend_on_the_first():
  questions = _questions(3000)
  groups = [q.question for q in questions]
  first, second = ({q.id for q in dev.take_out(questions, groups, 0.2, 3000, salt)[1]}
                   for salt in ("", "held out"))
  assert first != second
  assert len(first & second) / len(first) == pytest.approx(0.2, abs=0.06)
