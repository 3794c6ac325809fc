"""Where answers may be, against plain Python."""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from realm_tf.evaluation import borders
from realm_tf.evaluation.answer_spans import Spans

_TEXTS = [
    "Name | Role | Extension\nHenrike Oduya | Managing director | 101\nTomas Brellin | Head",
    "About us\n\nThe firm was founded\nin New\nYork. It grew.\n \nIts motto is short.",
    "Before it\nSize | Weight\nSmall | 3 kg\nAfter the table",
    "Open 9:30 to 18:30, 4,310 of them at 3.5 km in 1914. 7 a:b 1,2", "3:4 é5.6ü7,8",
    "Ana\nRole: boss\n Büro: 1\nof two", "one:\n- two\n* 3\n10. four\n1.5 m\n-no\n1) x",
    "so\nIs: it\nis: not\nAnd: too", "P-14 at 10 km/h, A/b C-D e-1", "Ana (boss) and (so (on",
    "a) b",
    "one | two", "a|b and c || d", "é | ü\nß | ç",
    "no border at all", ""]


def _may_be(text, start, end):
  """Whether a span is of one paragraph, of one cell where its lines have cells, goes on into
  no item or field, has no half of two brackets, and cuts no number, code or unit."""
  for i in range(1, len(text) - 1):
    before, mark, behind = text[i - 1:i + 2]
    if {i, i + 1} & {start, end} and before.isascii() and behind.isascii() and (
        (mark in ".,:" and before.isdigit() and behind.isdigit())
        or (mark == "-" and before.isupper() and behind.isdigit())
        or (mark == "/" and before.islower() and behind.islower())):
      return False
  span = text[start:end]
  brackets = [character for character in span if character in "()"]
  if brackets and (brackets[0] == ")" or brackets[-1] == "("):
    return False
  if re.search(r"\n *\n", span) or " | " in span or re.search(r"^\||\|$", span):
    return False
  stop = text.find("\n", end)
  lines = text[text.rfind("\n", 0, start) + 1:stop if stop >= 0 else len(text)]
  return "\n" not in span or (" | " not in lines and not any(
      map(_begins, lines.split("\n")[1:])))


def _begins(line):
  """Whether it is an item, or a field, whose key is no word of a sentence."""
  mark, _, rest = line.strip().partition(" ")
  if rest and (mark in ("-", "*") or (mark[:-1].isdigit() and mark[-1] in ".)")):
    return True
  key, colon, _ = line.strip().partition(": ")
  return bool(colon) and key[0].isupper()


@pytest.mark.parametrize("text", _TEXTS)
def test_spans_that_break_a_border_are_told(text):
  pairs = list(itertools.combinations_with_replacement(range(len(text) + 1), 2))
  start, end = (np.array([len(text[:at].encode()) for at in side], np.int32)
                for side in zip(*pairs))
  actual = borders.broken(tf.fill([len(pairs)], text), start, end).numpy()
  for (first, last), breaks in zip(pairs, actual, strict=True):
    assert breaks != _may_be(text, first, last), text[first:last]


def test_spans_that_cross_are_none_unless_there_are_no_others():
  none = -np.inf
  spans = Spans(tf.constant([[3., 2, 1], [3, 2, none], [3, 2, 1]]),
                tf.constant([[.5, .3, .2], [.6, .4, 0], [.5, .3, .2]]),
                *(tf.constant([[i, i + 1, i + 2]] * 3) for i in (10, 20, 30)))
  breaks = tf.constant([[True, False, True], [True, True, False], [False] * 3])
  texts = tf.constant([["a", "b", "c"]] * 3)
  actual, texts = borders.without(spans, texts, breaks)
  np.testing.assert_array_equal(texts, [[b"b", b"a", b"c"], [b"a", b"b", b"c"],
                                        [b"a", b"b", b"c"]])
  np.testing.assert_array_equal(actual.score, [[2, none, none], [3, 2, none], [3, 2, 1]])
  np.testing.assert_allclose(actual.share, [[.3, 0, 0], [.6, .4, 0], [.5, .3, .2]])
  np.testing.assert_array_equal(actual.row, [[11, 10, 12], [10, 11, 12], [10, 11, 12]])
  np.testing.assert_array_equal(actual.first[0], [21, 20, 22])
