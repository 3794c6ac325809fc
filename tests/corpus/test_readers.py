import gzip
import json

import pytest

from realm_tf.corpus import readers
from realm_tf.corpus.readers import Document
from realm_tf.errors import UserError

GOOD = [{"id": "1", "title": "Café", "text": "Un café."}, {"id": 2, "text": "Two."}]
DOCUMENTS = [Document("1", "Café", "Un café."), Document("2", "", "Two.")]


def _write(path, content):
  path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
  return path


def _lines(rows):
  return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("read", [readers.read_jsonl, readers.read_documents])
def test_jsonl(tmp_path, read):
  assert list(read(_write(tmp_path / "a.jsonl", _lines(GOOD)))) == DOCUMENTS
  packed = gzip.compress(_lines(GOOD).encode())
  assert list(read(_write(tmp_path / "a.jsonl.gz", packed))) == DOCUMENTS
  marked = b"\xef\xbb\xbf" + _lines(GOOD).encode() + b"\r\n\n"
  assert list(read(_write(tmp_path / "b.jsonl", marked))) == DOCUMENTS


@pytest.mark.parametrize("line, message", [
    ('{"id": "3", "title": "t"}', "field 'text' is missing"),
    ('{"id": "3", "text": ""}', "field 'text' is empty"),
    ('{"id": "3", "text": " \\n"}', "field 'text' is empty"),
    ('{"id": "3", "text": 5}', "field 'text' is int"),
    ('{"id": "3", "text": null}', "field 'text' is missing"),
    ('{"text": "x"}', "field 'id' is missing"),
    ('{"id": "3", "title": [], "text": "x"}', "field 'title' is list"),
    ('{"id": "1", "text": "x"}', "field 'id': '1' is there already, in .*:1"),
    ('{"id": "3", "text": "\\ud800"}', "field 'text' holds half a surrogate"),
    ('{"id": "3", ', "not valid JSON"),
    ("[" * 100_000, "not valid JSON"),
    ("[1]", "JSON list"),
    (b'{"id": "3", "text": "\xff"}', "not UTF-8"),
])
def test_a_bad_line_is_named(tmp_path, line, message):
  line = line if isinstance(line, bytes) else line.encode()
  path = _write(tmp_path / "a.jsonl", _lines(GOOD).encode() + line + b"\n")
  with pytest.raises(UserError, match=rf"^\S*a\.jsonl:3: .*{message}") as caught:
    list(readers.read_jsonl(path))
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.tsv", "a.json", "a"])
def test_an_empty_corpus(tmp_path, name):
  for content in ("", "\n\n"):
    if name == "a.tsv" and content:
      content = "id\ttext\ttitle\n"
    with pytest.raises(UserError, match="a.*: an empty corpus"):
      list(readers.read_documents(_write(tmp_path / name, content)))


def test_an_empty_object_of_leads(tmp_path):
  with pytest.raises(UserError, match="an empty corpus"):
    list(readers.read_wikipedia_leads(_write(tmp_path / "a.json", "{}")))


def test_missing_file_and_folder(tmp_path):
  for path in (tmp_path / "none.jsonl", tmp_path, tmp_path / "none"):
    with pytest.raises(UserError, match="cannot be read"):
      list(readers.read_documents(path))


def test_damaged_gzip(tmp_path):
  packed = gzip.compress(_lines(GOOD).encode())
  for content in (packed[:-12], b"plain", packed[:15] + b"\0\0\0" + packed[18:]):
    with pytest.raises(UserError, match="damaged gzip|not UTF-8"):
      list(readers.read_jsonl(_write(tmp_path / "a.jsonl.gz", content)))


def test_it_streams(tmp_path):
  path = _write(tmp_path / "a.jsonl", _lines(GOOD) + "broken\n")
  assert next(readers.read_jsonl(path)) == DOCUMENTS[0]


def test_tsv(tmp_path):
  content = 'id\ttext\ttitle\n1\t"Said ""no""\tthen\nleft."\tA "b"\n2\tTwo.\t\n'
  expected = [Document("1", 'A "b"', 'Said "no"\tthen\nleft.'), Document("2", "", "Two.")]
  path = _write(tmp_path / "a.tsv", content)
  assert list(readers.read_documents(path)) == expected
  assert list(readers.read_documents(path.rename(tmp_path / "a"))) == expected
  long = "word " * 100_000
  path = _write(tmp_path / "b.tsv", f"id\ttext\ttitle\n1\t{long}\tt\n")
  assert next(readers.read_tsv(path)).text == long


@pytest.mark.parametrize("content, message", [
    ("id\ttext\n", ":1: header"),
    ("id\ttext\ttitle\n1\tx\n", ":2: 2 fields"),
    ("id\ttext\ttitle\n1\t \tt\n", ":2: field 'text' is empty"),
    ("id\ttext\ttitle\n1\tx\tt\n1\tx\tt\n", ":3: field 'id'"),
])
def test_bad_tsv(tmp_path, content, message):
  with pytest.raises(UserError, match=rf"a\.tsv{message}"):
    list(readers.read_tsv(_write(tmp_path / "a.tsv", content)))


@pytest.mark.parametrize("indent", [None, 2])
def test_wikipedia_leads(tmp_path, indent):
  leads = {"Café": {"title": "Café", "extract": "Un café.", "topic": "x"},
           "2": {"title": "", "extract": "Two."}}
  path = _write(tmp_path / "leads.json", json.dumps(leads, indent=indent))
  assert list(readers.read_documents(path)) == [
      Document("Café", "Café", "Un café."), Document("2", "", "Two.")]


@pytest.mark.parametrize("lead, message", [
    ({"title": "x"}, "entry 'x': field 'extract' is missing"),
    ({"extract": ""}, "entry 'x': field 'extract' is empty"),
    ("text", "entry 'x': str"),
])
def test_bad_leads(tmp_path, lead, message):
  path = _write(tmp_path / "leads.json", json.dumps({"x": lead}))
  with pytest.raises(UserError, match=message):
    list(readers.read_wikipedia_leads(path))


def test_an_unknown_kind_of_file(tmp_path):
  with pytest.raises(UserError, match="not a kind of file known here"):
    list(readers.read_documents(_write(tmp_path / "a.txt", "Some text.\n")))
