"""Tables that are cut, against the lines that they are made of."""

import random

import pytest

from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.readers import Document
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TOKENIZER = Tokenizer(tiny.vocabulary())
_HEADER = "City | What | Where."
_WORDS = ("Paris", "rome", "lies", "By", "river", "ünique", "3")


def _table(rng, rows):
  return [" | ".join(rng.choices(_WORDS, k=3)) + "." for _ in range(rows)]


def _lines_of(document, size):
  return [[line for line in block.text.split("\n") if line]
          for block in split_blocks([document], _TOKENIZER, size)]


@pytest.mark.parametrize("seed", range(8))
def test_every_row_stands_below_its_header(seed):
  rng = random.Random(seed)
  rows, size = _table(rng, rng.randint(2, 30)), rng.randint(40, 90)
  before, after = ["É lies by the river."] * rng.randint(0, 9), ["It lies there."]
  lines = [*before, _HEADER, *rows, "", *after]
  rest = [Document(str(i), "ü", "Many people live in Paris. É.") for i in range(2)]
  blocks = list(split_blocks([rest[0], Document("x", "t", "\n".join(lines)), rest[1]],
                             _TOKENIZER, size))
  assert [block.document_id for block in blocks][:: len(blocks) - 1] == ["0", "1"]
  assert blocks[0].text == blocks[-1].text == rest[0].text
  seen = []
  for block in blocks[1:-1]:
    assert len(block.body_ids) <= size - 3 - len(block.title_ids)
    own = [line for line in block.text.split("\n") if line]
    first = [" | " in line for line in own].index(True) if " | " in block.text else None
    assert first is None or own[first] == _HEADER
    assert own.count(_HEADER) <= 1 and own[-1] != _HEADER
    seen += [line for line in own if line != _HEADER]
    for first, last in zip(block.body_starts, block.body_ends):
      assert block.text.encode()[first:last].strip()
  assert seen == [line for line in lines if line and line != _HEADER]


@pytest.mark.parametrize("header, rows", [
    ("1 | 2 | 3.", ["paris | rome | river."] * 20),  # names no columns
    (" | ".join(["paris"] * 30) + ".", [" | ".join(["rome"] * 30) + "."] * 4)])  # too long
def test_what_is_no_header_stands_once(header, rows):
  blocks = _lines_of(Document("x", "t", "\n".join([header, *rows])), 64)
  assert len(blocks) > 1 and sum(lines.count(header) for lines in blocks) <= 1


def test_tables_in_one_block_stay_as_they_are():
  text = f"{_HEADER}\n\n\n" + "\n".join(_table(random.Random(1), 4)) + "\n\nSo it is."
  assert [block.text for block in split_blocks(
      [Document("x", "t", text)], _TOKENIZER, 200)] == [text]


def test_two_tables_have_each_its_own_header():
  other = "Name | River."
  lines = [_HEADER, *_table(random.Random(2), 12), "", "Many people live there.", "", other,
           *(f"{name} | rome." for name in ("paris", "by", "lies") * 5)]
  for own in _lines_of(Document("x", "t", "\n".join(lines)), 48):
    cells = None
    for line in own:
      if line in (_HEADER, other):
        cells = line.count("|")
      elif "|" in line:
        assert line.count("|") == cells, own
