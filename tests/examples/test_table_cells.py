"""What can be asked of tables, against lists by hand; and the questions made of it."""

import numpy as np
import pytest

from realm_tf.corpus.store import Corpus
from realm_tf.examples.askable_spans import Kind
from realm_tf.examples.cloze_questions import cloze_batches, find_clozes
from realm_tf.examples.table_cells import cell_kind, questions, table_cells
from realm_tf.text.tokenizer import Tokenizer
from tests import tiny

_TABLE = "Name | Town | Age.\nAna | Rome | 7.\nBo Li | Oslo | 9."
_ASKED = [("Rome", "Town", "Ana"), ("Ana", "Name", "Rome"), ("7", "Age", "Ana"),
          ("Ana", "Name", "7"), ("Oslo", "Town", "Bo Li"), ("Bo Li", "Name", "Oslo"),
          ("9", "Age", "Bo Li"), ("Bo Li", "Name", "9")]


def _told(text):
  data = text.encode()
  return [tuple(data[slice(*place)].decode() for place in places)
          for places in questions(data)]


@pytest.mark.parametrize("text, expected", [
    (_TABLE, _ASKED), (_TABLE.replace("\n", "\n\n"), _ASKED),
    (f"Before it é.\n\n{_TABLE}\nName | Town | Age.\n\nAfter it.", _ASKED),
    (_TABLE.replace(".", ""), _ASKED),
    # Two lines have the value, so nobody could tell whom it means.
    ("A | B.\nx | one.\ny | one.", [("one", "B", "x"), ("one", "B", "y")]),
    ("A | B.\nx | one.\nx | two.", [("x", "A", "one"), ("x", "A", "two")]),
    # No table, none whose columns have names, lines of other lengths: two tables, of which
    # the second is a line alone.
    ("A text.\nWith lines.", []), ("A | B", []), ("x 1 | y\nz | w", []),
    ("A | B.\nü | ß.\na | b | c.", [("ß", "B", "ü"), ("ü", "A", "ß")]), ("", []),
    ("A | B.\nU.S. | Inc..", [("Inc.", "B", "U.S."), ("U.S.", "A", "Inc.")])])
def test_cells_are_asked_for_by_their_column_and_line(text, expected):
  assert _told(text) == expected


def _corpus(*texts):
  return Corpus.from_documents(texts, Tokenizer(tiny.vocabulary()), 64)


def _words(corpus, row, start, end):
  first, last = corpus.body_starts.row(row)[start], corpus.body_ends.row(row)[end - 1]
  return corpus.texts[row][first:last].decode()


def test_cells_are_pieces_of_their_blocks():
  table = "town | river | people.\nrome | old | many.\nona | great | the cat."
  corpus = _corpus("It is in Rome. It is old.", table, "a | b")
  cells = table_cells(corpus)
  assert set(cells.row) == {1}
  actual = [tuple(_words(corpus, cell[0], *cell[i:i + 2]) for i in (1, 3, 5))
            for cell in zip(*cells)]
  assert actual == _told(table) and len(actual) == 8
  empty = table_cells(_corpus("It is in Rome."))
  assert all(field.shape == (0,) and field.dtype == np.int32 for field in empty)


def test_a_question_has_the_words_of_column_and_line(tmp_path):
  tiny.write_bert(tmp_path / "bert", hidden=16, layers=1)
  config = tiny.make_config(
      tmp_path, write=False, cloze__steps=40, cloze__batch_size=4, cloze__form="question",
      encoder__max_span_width=16)
  table = "town | river | people.\nrome | old | many.\nona | great | the cat."
  corpus = _corpus("Many people live in Ona and it is by the river. The old tower is great.",
                   table)
  clozes = find_clozes(config, corpus)
  is_cell = clozes.asked_by[:, 3] > 0
  assert sum(is_cell) == 8 and 0 < sum(~is_cell)
  assert list(clozes.spans.row) == sorted(clozes.spans.row)
  vocabulary = corpus.tokenizer.vocabulary
  expected = {}  # the words that a question of a span may have
  for i in np.flatnonzero(is_cell):
    body = corpus.body_ids.row(clozes.spans.row[i])
    expected.setdefault(clozes.spans.name[i], []).append({
        vocabulary[piece] for start, end in clozes.asked_by[i].reshape(2, 2)
        for piece in body[start:end]})
  question_words = {vocabulary[piece] for piece in corpus.tokenizer.tokenize(
      ["who what which where when in what year how many much long ?"]).values.numpy()}
  seen = 0
  for batch in cloze_batches(config, corpus, clozes, 0):
    for name, row, question in zip(batch.name.numpy(), batch.row.numpy(),
                                   batch.question.to_list()):
      if row == 1 and name in expected:
        words = {vocabulary[piece] for piece in question} - question_words
        assert any(words <= allowed for allowed in expected[name]), words
        seen += 1
  assert seen > 30


def test_a_line_is_asked_for_as_a_name_and_a_value_with_what():
  assert [cell_kind("Ona", True), cell_kind("102", True), cell_kind("102", False),
          cell_kind("4 July 1990", False)] == [Kind.NAME, Kind.NAME, Kind.PHRASE, Kind.DATE]
