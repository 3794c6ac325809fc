"""One file of text is the document that it is in its folder, unless it is another format."""

import gzip
import json

import pytest

from realm_tf.corpus.readers import Document, read_documents
from realm_tf.errors import UserError
from realm_tf.run.begin import begin

TEXT = "Remote work\n\nTwo days a week.\n"


@pytest.mark.parametrize("name, data", [
    ("remote.txt", TEXT.encode()), ("remote.text", TEXT.encode()),
    ("remote.TXT", TEXT.encode("utf-8-sig")), ("remote.txt", TEXT.encode("utf-16")),
    ("remote.txt.gz", gzip.compress(TEXT.encode(), mtime=0))])
def test_it_is_the_document_that_its_folder_has(tmp_path, name, data):
  (tmp_path / name).write_bytes(data)
  expected = [Document(name, "Remote work", "Two days a week.")]
  assert list(read_documents(tmp_path)) == expected
  assert list(read_documents(tmp_path / name)) == expected
  assert list(read_documents(tmp_path / name, format="folder")) == expected


def test_a_first_line_with_one_tab_is_of_a_text(tmp_path):
  (tmp_path / "a.txt").write_text("To:\tAnna\nA letter.")
  assert [d.text for d in read_documents(tmp_path / "a.txt")] == ["To:\tAnna\nA letter."]


@pytest.mark.parametrize("text", [
    json.dumps({"id": "1", "text": "One."}), "id\ttext\ttitle\n1\tOne.\t", "id,text\n1,One."])
def test_what_is_in_another_format_is_read_in_it(tmp_path, text):
  (tmp_path / "a.txt").write_text(text)
  assert list(read_documents(tmp_path / "a.txt")) == [Document("1", "", "One.")]


def test_columns_without_a_header_are_not_taken_for_a_text(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("1\tSome text.\tTitle\n2\tOther text.\tTitle\n")
  with pytest.raises(UserError, match="not a header.*; set config.corpus.format=folder"):
    list(read_documents(path))
  assert len(list(read_documents(path, format="folder"))) == 1
  begin(tmp_path / "run", str(path), changes={"corpus.format": "folder"})
  with pytest.raises(UserError, match="a.txt:1: header"):
    begin(tmp_path / "other", str(path), changes={"corpus.format": "tsv"})


@pytest.mark.parametrize("data, reason", [
    (b"\xff", "not UTF-8"), (b"PAR1\x15", "looks like a Parquet file")])
def test_one_that_cannot_be_read_says_why(tmp_path, data, reason):
  (tmp_path / "a.txt").write_bytes(data)
  with pytest.raises(UserError, match=f"a.txt: an empty corpus: {reason}: 'a.txt'"):
    list(read_documents(tmp_path / "a.txt"))
