"""JSON lines and tables by other tools' names, and without ids."""

import json

import pytest

from realm_tf.corpus.readers import Document, read_documents
from realm_tf.corpus.readers.reading_report import ReadingReport
from realm_tf.errors import UserError


def _file(path, *rows):
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return path


@pytest.mark.parametrize("rows", [
    [{"id": "a", "content": "x", "meta": {"name": "T"}},
     {"id": "b", "content": "y", "meta": {"title": "U", "name": "no"}}],  # Haystack
    [{"id": "a", "contents": "x", "title": "T"}, {"id": "b", "contents": "y", "title": "U"}],
    [{"_id": "a", "text": "x", "title": "T"}, {"_id": "b", "text": "y", "title": "U"}],
    [{"passage_id": "a", "text": "x", "title": "T", "content": "not this"},
     {"passage_id": "b", "text": "y", "title": "U", "meta": 3}]])
def test_names_of_other_tools(tmp_path, rows, caplog):
  caplog.set_level("INFO")
  path = _file(tmp_path / "a.jsonl", *rows)
  assert list(read_documents(path)) == [Document("a", "T", "x"), Document("b", "U", "y")]
  assert caplog.text.count("is read as") == 1


def test_an_id_in_capitals_is_no_line_number(tmp_path):
  path = _file(tmp_path / "a.jsonl", {"ID": 7, "text": "x"}, {"ID": "b", "text": "y"})
  assert [document.id for document in read_documents(path)] == ["7", "b"]


@pytest.mark.parametrize("name, header", [
    ("a.csv", "docid,title,contents"), ("a.csv", "Passage_ID,Title,Context"),
    ("a.txt", "doc_id,title,content"), ("a.csv", "id,title,text")])
def test_names_of_columns(tmp_path, caplog, name, header):
  caplog.set_level("INFO")
  path = tmp_path / name
  path.write_text(f"{header}\na,T,x\nb,U,y\n")
  assert list(read_documents(path)) == [Document("a", "T", "x"), Document("b", "U", "y")]
  assert caplog.text.count("is read as") == 2 * (header != "id,title,text")


def test_rows_without_ids_are_numbered(tmp_path):
  path = tmp_path / "a.csv"
  path.write_text('title;content\nT;"x\nz"\n\nU;y\n')
  assert list(read_documents(path)) == [Document("2", "T", "x\nz"), Document("5", "U", "y")]
  with pytest.raises(UserError, match="a.csv:1: field 'id' is missing; documents that are"):
    list(read_documents(path, report=ReadingReport(numbers=False)))


def test_without_ids_lines_are_numbered_and_it_is_said_once(tmp_path, caplog):
  caplog.set_level("INFO")
  path = tmp_path / "a.jsonl"
  path.write_text('{"text": "x"}\n\n{"text": "y", "title": "U"}\n')
  assert list(read_documents(path)) == [Document("1", "", "x"), Document("3", "U", "y")]
  assert caplog.text.count("the number of its line is the id") == 1


def test_a_file_is_what_its_first_line_says(tmp_path):
  for first, later, message in (
      ({"id": "a", "text": "x"}, {"text": "y"}, "a.jsonl:2: field 'id' is missing"),
      ({"id": "a", "text": "x"}, {"id": "b", "content": "y"}, "rename 'content' to 'text'"),
      ({"text": "x"}, {"id": 1, "text": "y"}, "a.jsonl:2: field 'id': '1' is there"),
      ({"question": "x", "answer": "y"}, {}, "a.jsonl:1: no field 'text' .found")):
    with pytest.raises(UserError, match=message):
      list(read_documents(_file(tmp_path / "a.jsonl", first, later)))


def test_what_is_added_needs_ids(tmp_path):
  path = _file(tmp_path / "a.jsonl", {"text": "x"})
  with pytest.raises(UserError, match="a.jsonl:1: field 'id' is missing; documents that are"):
    list(read_documents(path, report=ReadingReport(numbers=False)))


def test_squad_as_documents_says_how_to_make_them(tmp_path):
  path = tmp_path / "squad.json"
  for indent in (None, 2):
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "x", "qas": []}]}]},
                               indent=indent))
    with pytest.raises(UserError, match=r"\.data\[\]\.paragraphs.*of SQuAD"):
      list(read_documents(path))
