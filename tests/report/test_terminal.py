import re

import pytest

from realm_tf.report import terminal

_PASSAGE = "Das Café 😀 liegt an der Seine in Paris, nicht weit vom Louvre entfernt."


def _bytes_of(answer):
  start = _PASSAGE.encode().index(answer.encode())
  return start, start + len(answer.encode())


def test_answer_is_marked_by_byte_offsets():
  marked = terminal.mark_answer(_PASSAGE, *_bytes_of("Paris"), color=False, width=200)
  assert marked == _PASSAGE.replace("Paris", "[[Paris]]")
  colored = terminal.mark_answer(_PASSAGE, *_bytes_of("Café 😀"), color=True, width=200)
  assert colored == _PASSAGE.replace("Café 😀", "\x1b[1;7mCafé 😀\x1b[0m")
  assert terminal.mark_answer(_PASSAGE, 0, 0, color=False, width=200) == _PASSAGE


@pytest.mark.parametrize("color", [True, False])
def test_lines_fit_the_width(color):
  answer = "liegt an der Seine in Paris, nicht"
  marked = terminal.mark_answer(_PASSAGE, *_bytes_of(answer), color=color, width=20)
  for line in marked.splitlines():
    assert len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 20
    # A terminal must be plain again at each line's end.
    assert line.count("\x1b[1;7m") == line.count("\x1b[0m")
  if color:
    inside = "".join(
        part + " " for part in re.findall("\x1b\\[1;7m(.*?)\x1b\\[0m", marked, re.DOTALL))
    assert inside.split() == answer.split()


def test_several_spaces_are_one():
  marked = terminal.mark_answer("It  is\n    in   Paris  there.", 16, 21, color=False)
  assert marked == "It is in [[Paris]] there."


_TABLE = ("Some words\nwrapped by hand.\n\nName | Price\r\nApple | 3\nPear |\n\nThe end\n"
          "of it.\nKind\tof\nfruit \t 1\n")
_ROWS = ["Some words wrapped by hand.", "Name | Price", "Apple | 3", "Pear |",
         "The end of it.", "Kind of", "fruit 1"]


@pytest.mark.parametrize("color", [True, False])
def test_a_table_has_one_row_a_line(color):
  assert terminal.in_lines(_TABLE, 88) == _ROWS
  assert terminal.mark_answer(_TABLE, 0, 0, color).splitlines() == _ROWS
  start = _TABLE.index("Price")
  marked = terminal.mark_answer(_TABLE, start, start + len("Price\r\nApple"), color)
  opening, closing = ("\x1b[1;7m", "\x1b[0m") if color else ("[[", "]]")
  again, plain = (opening, closing) if color else ("", "")
  assert marked.splitlines()[1:3] == [f"Name | {opening}Price{plain}",
                                      f"{again}Apple{closing} | 3"]
  assert terminal.in_lines("a | " + "word " * 30, 20)[0] == "a | word word word"


_LIST = ("Whom to call when\nthe lift stands still:\n- Mara Voss\n  (house)\n- Ole Brandt\n"
         "Office: 3.02\nExt.: 47\n  1. Dial\n  2. Wait\nand then\nspeak.")
_ITEMS = ["Whom to call when the lift stands still:", "- Mara Voss (house)", "- Ole Brandt",
          "Office: 3.02", "Ext.: 47", "1. Dial", "2. Wait and then speak."]


@pytest.mark.parametrize("color", [True, False])
def test_an_item_or_a_field_begins_a_line(color):
  assert terminal.in_lines(_LIST, 88) == _ITEMS
  opening, closing = ("\x1b[1;7m", "\x1b[0m") if color else ("[[", "]]")
  for answer, line in (("Office: 3.02", 3), ("Ext", 4), ("1", 5), ("- Ole", 2)):
    start = _LIST.index(answer)
    marked = terminal.mark_answer(_LIST, start, start + len(answer), color).splitlines()
    expected = _ITEMS.copy()
    expected[line] = expected[line].replace(answer, f"{opening}{answer}{closing}", 1)
    assert marked == expected


def test_control_characters_do_not_reach_the_terminal():
  marked = terminal.mark_answer("a\x1b[2Jb\x02c\x9bd", 5, 6, color=True)
  assert "\x1b[2J" not in marked and "\x02" not in marked and "\x9b" not in marked
  assert marked == "a [2J\x1b[1;7mb\x1b[0m c d"
  turned = terminal.mark_answer("a\u202elive\u202c b\u2066c\u2069\u2029d", 0, 0, color=True)
  assert turned == "a live b c d"


@pytest.mark.parametrize("start, end", [(-1, 2), (3, 2), (0, 999), (0, 8), (8, 9)])
def test_offsets_outside_or_inside_a_character_are_refused(start, end):
  with pytest.raises(ValueError, match=f"bytes {start}:{end}"):
    terminal.mark_answer(_PASSAGE, start, end, color=False)
