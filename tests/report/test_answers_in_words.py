"""What `realm ask` and `realm search` print of documents."""

import pytest

from realm_tf.report.answers import in_words, passages_in_words


def _answer(title, name, answer="Ona"):
  return {"answer": answer, "probability": 0.5, "title": title, "passage_id": name,
          "passage": "Name | Place\nOna | Rome", "start_byte": 13, "end_byte": 16}


@pytest.mark.parametrize("title, name, source", [
    ("Rome", "Rome", 'from "Rome"'), ("Rome", "docs/rome.pdf", 'from "Rome", document '
                                      "docs/rome.pdf"), ("", "7", "from document 7"),
    ("a\x1bb", "a\x1bb", 'from "a b"'), ("R", "a\nb", 'from "R", document a b')])
def test_an_answer_says_which_document_it_is_from(title, name, source):
  others = [_answer(title, name), _answer(title, name, "he")]
  lines = in_words({"question": "Who?", "answerable": True, "answers": others, **others[0]},
                   None).splitlines()
  assert lines[2] == f"A: Ona   (probability 0.50, {source})"
  assert lines[3:] == ["Name | Place", "[[Ona]] | Rome", f"   0.50 he   ({source})"]
  refused = in_words({"question": "Who?", "answerable": False, "answers": others,
                      **others[0]}, None)
  assert f"0.50 Ona   ({source})" in refused


def test_a_passage_has_its_rows():
  passage = {"title": "", "id": "7", "score": 1.0, "text": "A list:\nOna | Rome\nAnn | Oslo"}
  assert passages_in_words("Who?", [passage, passage]).splitlines() == [
      "", "Q: Who?", "1. untitled   (score 1.00, document 7)", "   A list:",
      "   Ona | Rome", "   Ann | Oslo", "2. untitled   (score 1.00, document 7)",
      "   A list:", "   Ona | Rome", "   Ann | Oslo"]
