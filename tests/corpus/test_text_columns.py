"""Columns of plain text, against lists by hand."""

import pytest

from realm_tf.corpus.readers.text_columns import with_rows
from realm_tf.corpus.readers.text_file import read_plain_text

_ROOMS = ("Billing          Ana Quill    2.14\nNew connections  Bo    1.08\n"
          "  Stores\t\tC. D\tgate 3")
_SUMS = "Heron    899.00\nVolt   3,299.00\nSprint    49.00"
_ROWS = "Billing | Ana Quill | 2.14.\nNew connections | Bo | 1.08.\nStores | C. D | gate 3."


@pytest.mark.parametrize("text, expected", [
    (_ROOMS, _ROWS), (_SUMS, "Heron | 899.00.\nVolt | 3,299.00.\nSprint | 49.00."),
    (f"So it is.\n\n{_ROOMS}\nHere it ends.", f"So it is.\n\n{_ROWS}\nHere it ends."),
    ("a\tb\nc\td\ne\tf!", "a | b.\nc | d.\ne | f!")])
def test_columns_are_rows(text, expected):
  assert with_rows(text) == expected and read_plain_text(text.encode()) == ("", expected)


@pytest.mark.parametrize("text", [
    "", "a  b\nc  d", "a  b\nc  d  e\nf  g", "One.  Two\nthree.  Four\nfive.  Six so",
    "  a\n  b\n  c\n  d", "a  \nb  \nc  \n", "| a  | b |\n| c  | d |\n| e  | f |",
    "so it is\nand so\non and on", "Role:   boss\nTown:   Rome\nAge:\t\t7",
    "so it  is wide\nand so    is that\nas a line   can be",
    "#    so it\n#    is and\n#    so on", "*  a  b\n*  c  d\n*  e  f"])
def test_all_else_stays(text):
  assert with_rows(text) == text
