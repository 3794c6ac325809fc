"""Which first line of plain text is its title."""

import pytest

from realm_tf.corpus.readers import read_documents
from realm_tf.corpus.readers.text_file import read_plain_text


@pytest.mark.parametrize("text, title, body", [
    ("Opening  hours\n\nOn Monday we open.", "Opening hours", "On Monday we open."),
    ("\n\n Hours \n====\nOn Monday.", "Hours", "On Monday."),
    ("HOURS 2025\n---\n\nMonday: 9", "HOURS 2025", "Monday: 9."),
    ("東京\n\n古い。", "東京", "古い。"), ("Hours\r\n\r\nOn Monday.", "Hours", "On Monday.")])
def test_a_line_that_stands_alone_is_a_title(text, title, body):
  assert read_plain_text(text.encode()) == (title, body)


@pytest.mark.parametrize("text", [
    "Hours\nOn Monday we open.", "Hours", "It is so.\n\nAnd so.", "Dear Ms Li,\n\nThank you.",
    "Monday: closed.\n\nElse open.", "- one.\n\n- two.", "1999\n\nIt was so.",
    "What?\n\nThat.",
    f"{'long ' * 17}\n\nIt is.", "a\tb\n\nIt is.", "", "Hours\n--\nOn Monday."])
def test_all_else_is_text(text):
  assert read_plain_text(text.encode()) == ("", text.strip())


def test_else_it_is_the_name_of_the_file_in_words(tmp_path):
  (tmp_path / "price_list-2.txt").write_text("It is so.")
  assert [document.title for document in read_documents(tmp_path)] == ["price list-2"]
