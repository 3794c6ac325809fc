"""Full stops after items and fields, where plain text and PDF have them, too."""

import pytest

from realm_tf.corpus.readers import html, text_file
from realm_tf.corpus.readers.closed_lines import with_closed_items


@pytest.mark.parametrize("text, expected", [
    ("Role: boss\nTown: Rome\nof old\n\nSo it\nis",
     "Role: boss.\nTown: Rome\nof old.\n\nSo it\nis"),
    ("- a\n* b!\n  • c;\n1) d:\n12. e\n\n+ f",
     "- a.\n* b!\n  • c;\n1) d:\n12. e.\n\n+ f."),
    ("It is 3 m\n- or so\n  it is  \n\n\nat 1.5\n-x",
     "It is 3 m\n- or so\n  it is.\n\n\nat 1.5\n-x"),
    *[(line, line) for line in ("a: b", "A:b", '"A: b', "{A: b", "A {x: b", "http://A: b")],
    ("Öl: 3 l\n日本: 東京。", "Öl: 3 l.\n日本: 東京。"), ("", ""),
    ("Key:\nvalue", "Key:\nvalue")])
def test_items_and_fields_end_as_sentences_do(text, expected):
  assert with_closed_items(text) == expected
  assert with_closed_items(expected) == expected
  assert text_file.read_plain_text(text.encode())[1] == expected.strip()


def test_pages_close_fields_but_no_code_and_no_title():
  page = "<title>T: x</title><pre>Key: 1\n- a</pre><p><b>Key</b>: 1<br>See: <i>2</i>"
  assert html.read_html(page.encode()) == ("T: x", "Key: 1\n- a\n\nKey: 1.\nSee: 2.")
