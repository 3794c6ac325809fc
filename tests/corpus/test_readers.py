import bz2
import csv
import functools
import gzip
import json
import lzma
import os
import threading

import pytest

from realm_tf import lines
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


@pytest.mark.parametrize("format", ["jsonl", "auto"])
def test_jsonl(tmp_path, format):
  read = functools.partial(readers.read_documents, format=format)
  assert list(read(_write(tmp_path / "a.jsonl", _lines(GOOD)))) == DOCUMENTS
  packed = gzip.compress(_lines(GOOD).encode())
  assert list(read(_write(tmp_path / "a.jsonl.gz", packed))) == DOCUMENTS
  marked = b"\xef\xbb\xbf" + _lines(GOOD).encode() + b"\r\n\n"
  assert list(read(_write(tmp_path / "b.jsonl", marked))) == DOCUMENTS


@pytest.mark.parametrize("line, message", [
    ('{"id": "3", "title": "t"}', "field 'text' is missing"),
    ('{"id": "3", "text": 5}', "field 'text' is int"),
    ('{"id": "3", "text": null}', "field 'text' is missing"),
    ('{"_id": "3", "text": "x"}', "field 'id' is missing .rename '_id' to 'id'."),
    ('{"id": "3", "contents": "x"}', "field 'text' is missing .rename 'contents' to 'text'."),
    ('{"id": "3", "content": "x"}', "field 'text' is missing .rename 'content' to 'text'."),
    ('{"id": "3", "Text": "x"}', "field 'text' is missing .rename 'Text' to 'text'."),
    ('{"id": "\\u200b", "text": "x"}', "field 'id' is empty or blank"),
    ('{"id": "3", "title": NaN, "text": "x"}', "field 'title' is float"),
    ('{"id": "3", "text": "x", "text": "y"}', "field 'text' is there twice"),
    ('{"text": "x"}', "field 'id' is missing"),
    ('{"id": "3", "title": [], "text": "x"}', "field 'title' is list"),
    ('{"id": "1", "text": "x"}', "field 'id': '1' is there already, in .*:1"),
    ('{"id": "3", "text": "\\ud800"}', "field 'text' holds half a surrogate"),
    ('{"id": "3", ', "not valid JSON"), ("[" * 100_000, "not valid JSON"),
    ("[1]", "JSON list; expected one object per line, with text, and id .*: `jq -c"),
    ("{", "not valid JSON .* an object that goes on in the next line, which `jq -c .`"),
    ('{"id": "2", "text": "x"},', "not valid JSON .* a comma behind it, as in an array"),
    ("[", "not valid JSON .* an array that goes on .* line, which `jq -c '.\\[\\]'`"),
    ("3\ttext\ttitle", "not valid JSON .* looks like values separated by tabs"),
    ('{"id": %s, "text": "x"}' % ("1" * 5000), "not valid JSON .a number too long"),
    ("null", "JSON null"),
    (b'{"id": "3", "text": "\xff"}', "not UTF-8"),
])
def test_a_bad_line_is_named(tmp_path, line, message):
  line = line if isinstance(line, bytes) else line.encode()
  path = _write(tmp_path / "a.jsonl", _lines(GOOD).encode() + line + b"\n")
  with pytest.raises(UserError, match=rf"^\S*a\.jsonl:3: .*{message}") as caught:
    list(readers.read_documents(path, format="jsonl"))
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
    list(readers.read_documents(_write(tmp_path / "a.json", "{}"), format="wikipedia_leads"))


def test_missing_file_and_folder(tmp_path):
  for path in (tmp_path / "none.jsonl", tmp_path, tmp_path / "none"):
    with pytest.raises(UserError, match="cannot be read"):
      list(readers.read_documents(path))


def test_damaged_gzip(tmp_path):
  packed = gzip.compress(_lines(GOOD).encode())
  for content in (packed[:-12], b"plain", packed[:15] + b"\0\0\0" + packed[18:]):
    with pytest.raises(UserError, match="damaged gzip|not UTF-8"):
      list(readers.read_documents(_write(tmp_path / "a.jsonl.gz", content), format="jsonl"))


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_streams_one_after_another_are_read_and_a_damaged_one_is_no_end(tmp_path, pack):
  # Python's bz2 and lzma end without a word where a later stream does not begin well.
  first, second = (pack(_lines([row]).encode()) for row in GOOD)
  for good in (first + second, first + bytes(2048) + second + bytes(8)):
    assert list(readers.read_documents(_write(tmp_path / "a.jsonl", good))) == DOCUMENTS
  for bad in (first + b"x" + second[1:], first + second[:3], first + second[:-3],
              first + second + b"behind"):
    with pytest.raises(UserError, match=r"a.jsonl: damaged (bzip2|xz) file after line [12]"):
      list(readers.read_documents(_write(tmp_path / "a.jsonl", bad)))


def test_nothing_is_given_of_a_damaged_block_of_bzip2(tmp_path):
  packed = bytearray(bz2.compress(_lines(GOOD * 500).encode()))
  for place in range(40, len(packed) - 10, 7):
    damaged = bytes(packed[:place]) + bytes([packed[place] ^ 0x55]) + packed[place + 1:]
    with pytest.raises(UserError, match="damaged bzip2 file after line 0"):
      list(readers.read_documents(_write(tmp_path / "a.jsonl.bz2", damaged)))


def test_a_line_without_an_end_is_not_read_to_the_end_of_memory(tmp_path, monkeypatch):
  monkeypatch.setattr(lines, "_MOST_BYTES", 1000)
  path = _write(tmp_path / "a.jsonl.gz", gzip.compress(_lines(GOOD).encode() + bytes(5000)))
  with pytest.raises(UserError, match=r"a.jsonl.gz:3: a line of more than 1000 bytes"):
    list(readers.read_documents(path))


@pytest.mark.parametrize("name", ["title", "id"])
def test_a_title_as_long_as_a_text_is_passed_over(tmp_path, caplog, name):
  path = _write(tmp_path / "a.jsonl", _lines([{**GOOD[0], name: "word " * 20_000}, GOOD[1]]))
  assert list(readers.read_documents(path)) == DOCUMENTS[1:]
  assert "title or id is longer than 65536 characters" in caplog.text
  with pytest.raises(UserError, match="a.jsonl:1: title or id is longer"):
    list(readers.read_documents(path, strict=True))


def test_it_streams(tmp_path):
  path = _write(tmp_path / "a.jsonl", _lines(GOOD) + "broken\n")
  assert next(readers.read_documents(path, format="jsonl")) == DOCUMENTS[0]


def test_tsv(tmp_path):
  content = 'id\ttext\ttitle\n1\t"Said ""no""\tthen\nleft."\tA "b"\n2\tTwo.\t\n'
  expected = [Document("1", 'A "b"', 'Said "no"\tthen\nleft.'), Document("2", "", "Two.")]
  path = _write(tmp_path / "a.tsv", content)
  assert list(readers.read_documents(path)) == expected
  assert list(readers.read_documents(path.rename(tmp_path / "a"))) == expected
  long = "word " * 100_000
  path = _write(tmp_path / "b.tsv", f"id\ttext\ttitle\n1\t{long}\tt\n")
  assert next(readers.read_documents(path, format="tsv")).text == long


@pytest.mark.parametrize(
    "name", ["psgs.gz", "passages.txt", "psgs_w100.v2", "a.json", "A.TSV"])
@pytest.mark.parametrize("header", ["\ufeffid\ttext\ttitle\r\n", '\n"id"\t"text"\t"title"\n'])
def test_a_table_is_told_by_its_header(tmp_path, name, header):
  content = f"{header}1\tUn café.\tCafé\r\n2\tTwo.\t".encode()
  packed = gzip.compress(content) if name.endswith(".gz") else content
  assert list(readers.read_documents(_write(tmp_path / name, packed))) == DOCUMENTS


@pytest.mark.parametrize("content, message", [
    ("id\ttext\n", ":1: header"),
    ("id\ttext\ttitle\n1\tx\n", ":2: 2 fields"),
    ("id\ttext\ttitle\n1\tx\tt\n1\tx\tt\n", ":3: field 'id'"),
])
def test_bad_tsv(tmp_path, content, message):
  with pytest.raises(UserError, match=rf"a\.tsv{message}"):
    list(readers.read_documents(_write(tmp_path / "a.tsv", content), format="tsv"))


@pytest.mark.parametrize("indent", [None, 2])
def test_wikipedia_leads(tmp_path, indent):
  leads = {"Café": {"title": "Café", "extract": "Un café.", "topic": "x"},
           "2": {"title": "", "extract": "Two."}}
  path = _write(tmp_path / "leads.json", json.dumps(leads, indent=indent))
  assert list(readers.read_documents(path)) == [
      Document("Café", "Café", "Un café."), Document("2", "", "Two.")]


@pytest.mark.parametrize("lead, message", [
    ({"title": "x"}, "entry 'x': field 'extract' is missing"),
    ("text", "entry 'x': str"),
])
def test_bad_leads(tmp_path, lead, message):
  path = _write(tmp_path / "leads.json", json.dumps({"x": lead}))
  with pytest.raises(UserError, match=message):
    list(readers.read_documents(path, format="wikipedia_leads"))


def test_an_unknown_kind_of_file(tmp_path):
  with pytest.raises(UserError, match="not a kind of file known here.*; expected"):
    list(readers.read_documents(_write(tmp_path / "a.log", "Some text.\n")))
  with pytest.raises(UserError, match="its first line is not a header"):
    list(readers.read_documents(_write(tmp_path / "a.txt", "1\tSome text.\tTitle\n")))


@pytest.mark.parametrize("name, content, message", [
    ("a.json", json.dumps(GOOD), "a.json:1: JSON list; .* `jq -c '.\\[\\]'`"),
    ("a.json", json.dumps(GOOD, indent=1), "a.json:1: .* an array that goes on"),
    ("a.json", json.dumps(GOOD[0], indent=1), "a.json: entry 'id': str; .*`jq -c .`"),
    ("a.json", 2 * json.dumps(GOOD[0], indent=1), "a.json: not valid JSON .*`jq -c .`"),
    ("a.jsonl", json.dumps(GOOD[0], indent=1), "a.jsonl:1: .* an object that goes on"),
    ("a.tsv", json.dumps(GOOD[0]), "a.tsv:1: no column"),
])
def test_json_that_is_not_in_lines_is_named(tmp_path, name, content, message):
  for path in (_write(tmp_path / name, content),
               _write(tmp_path / f"{name}.gz", gzip.compress(content.encode()))):
    with pytest.raises(UserError, match=message.replace(name, path.name)):
      list(readers.read_documents(path))


@pytest.mark.parametrize(
    "name", ["a.json", "a.json.gz", "a", "a.gz", "a.ndjson.bz2", "a.txt"])
def test_the_first_line_tells_json_lines_from_leads(tmp_path, name):
  packed = {"gz": gzip.compress, "bz2": bz2.compress}.get(name.split(".")[-1], bytes)
  nested = [{**GOOD[0], "metadata": {"url": ""}}, GOOD[1]]  # as in BEIR
  path = _write(tmp_path / name, packed(_lines(nested).encode()))
  assert list(readers.read_documents(path)) == DOCUMENTS
  if "json" not in name.split("."):
    return
  leads = json.dumps({"1": {"title": "Café", "extract": "Un café."}})
  path = _write(tmp_path / name, packed(leads.encode()))
  assert list(readers.read_documents(path)) == DOCUMENTS[:1]


def test_a_pipe_is_read_once(tmp_path):
  for content in (_lines(GOOD), "id\ttext\ttitle\n1\tUn café.\tCafé\n2\tTwo.\t\n"):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=_write, args=(tmp_path / "pipe", content))
    writer.start()
    assert list(readers.read_documents(tmp_path / "pipe")) == DOCUMENTS
    writer.join()
    (tmp_path / "pipe").unlink()


# Blank texts: passed over, counted, named; refused by `strict`.

_BLANK = ["", " \t\n", "\u00a0", "\u200b\u200d", "\ufeff", "\u2060\u00ad", "\0\x1b",
          "\u2028\u3000", "\u0301", "\ue000", "\u3164", "\u2800"]


def _kinds_of_file(folder, texts):
  """The same documents in each kind of file, and where each stands in it."""
  ids = [f"d{i}" for i in range(len(texts))]
  with open(folder / "a.tsv", "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, delimiter="\t")
    writer.writerows([("id", "text", "title"), *((i, t, "") for i, t in zip(ids, texts))])
  lines = _lines({"id": i, "text": t} for i, t in zip(ids, texts))
  leads = json.dumps({i: {"title": "", "extract": t} for i, t in zip(ids, texts)})
  return [(_write(folder / "a.jsonl", lines), ":2", "line 2"),
          (folder / "a.tsv", ":3", "line 3"),
          (_write(folder / "a.json", leads), ": entry 'd1'", "entry 'd1'")]


@pytest.mark.parametrize("text", _BLANK)
def test_a_blank_text_is_passed_over_or_refused(tmp_path, caplog, text):
  for path, place, named in _kinds_of_file(tmp_path, ["One.", text, "Three."]):
    assert [d.id for d in readers.read_documents(path)] == ["d0", "d2"]
    assert (f"{path}: 1 of 3 documents passed over, for their text is empty or blank: "
            f"'d1' ({named}); --strict refuses them") in caplog.messages[-1]
    with pytest.raises(UserError, match=f"{path}{place}: field '(text|extract)' is empty"):
      list(readers.read_documents(path, strict=True))


def test_many_blank_texts_are_counted_and_the_first_named(tmp_path, caplog):
  path = _write(tmp_path / "a.jsonl", _lines(
      {"id": i, "text": "" if i % 2 else "x"} for i in range(20)))
  assert len(list(readers.read_documents(path))) == 10
  assert "10 of 20" in caplog.messages[-1]
  assert "'1' (line 2), '3' (line 4), '5' (line 6) and 7 more" in caplog.messages[-1]


def test_a_corpus_of_blank_texts_alone_is_refused(tmp_path):
  path = _write(tmp_path / "a.jsonl", _lines([{"id": "x", "text": "\u200b"}]))
  with pytest.raises(UserError, match="an empty corpus: the text of 'x' .line 1. is blank"):
    list(readers.read_documents(path))


def test_an_id_of_a_blank_text_is_there_once(tmp_path):
  path = _write(tmp_path / "a.jsonl", _lines([{"id": "x", "text": t} for t in " y"]))
  with pytest.raises(UserError, match=":2: field 'id': 'x' is there already, in .*:1"):
    list(readers.read_documents(path))


def test_ids(tmp_path):
  path = _write(tmp_path / "ids.txt", "\ufeff1\r\n\n  a b \nc\u2028d\ne")
  assert readers.read_ids(path) == ["1", "  a b ", "c\u2028d", "e"]
  assert readers.read_ids(_write(path, gzip.compress(b"1\r 2\r\r3"))) == ["1", " 2", "3"]
  with pytest.raises(UserError, match="ids.txt:2: not UTF-8"):
    readers.read_ids(_write(tmp_path / "ids.txt", b"1\n\xff\n"))


@pytest.mark.parametrize("values, message", [
    ("Some text.", "expected a list of texts"), ({"text": "x"}, "expected a list of texts"),
    (b"Some.", "expected a list of texts"), ([5], "entry '0': int; expected a text"),
    (["Some.", None], "entry '1': NoneType; expected a text"), ([b"x"], "entry '0': bytes;"),
    ([{"title": "x"}], "entry '0': field 'text' is missing")])
def test_what_a_program_gives_that_are_no_documents(values, message):
  with pytest.raises(UserError, match=f"^documents: {message}"):
    list(readers.as_documents(values))
