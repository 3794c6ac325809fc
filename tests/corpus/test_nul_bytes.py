"""NUL bytes in files of many documents; in a folder such a file is skipped."""

import pytest

from realm_tf.corpus import readers
from realm_tf.corpus.readers import Document
from realm_tf.errors import UserError


@pytest.mark.parametrize("name, content", [
    ("a.jsonl", '{"id": "1", "text": "One\\u00002."}\n{"id": "2", "text": "Two."}\n'),
    ("a.csv", "id,text\n1,One\0002.\n2,Two.\n"),
    ("a.tsv", "id\ttext\ttitle\n1\tOne\0002.\t\n2\tTwo.\t\n")])
def test_nul_within_a_text_is_a_character_like_others(tmp_path, name, content):
  path = tmp_path / name
  path.write_text(content)
  assert list(readers.read_documents(path)) == [
      Document("1", "", "One\x002."), Document("2", "", "Two.")]


def test_a_raw_nul_is_no_json(tmp_path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(b'{"id": "1", "text": "One\0."}\n')
  with pytest.raises(UserError, match="a.jsonl:1: not valid JSON"):
    list(readers.read_documents(path))
