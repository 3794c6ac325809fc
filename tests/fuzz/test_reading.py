"""Readers of files, given files of any kind: what they should read, or one clear line.

Each reader gets whole files, which it must give back as they were written, and files that
were changed, cut and packed, of which it may say in one line what is wrong.
"""

import bz2
import csv
import gzip
import io
import json

import numpy as np
import pytest
import safetensors.numpy
import yaml
from hypothesis import given
from hypothesis import strategies as st

from realm_tf import jsonl, lines
from realm_tf.corpus import readers
from realm_tf.corpus.readers import Document, dump, html, markdown, text_file
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.wikitext import article
from realm_tf.datasets import trivia
from realm_tf.datasets.questions import Question, read_questions, write_questions
from realm_tf.errors import UserError
from realm_tf.evaluation import orqa, predictions
from realm_tf.models.tensors import read_safetensors
from realm_tf.text.tokenizer import read_vocabulary

_PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}

# Text with what people and programs stumble over, more often than chance would have it.
_ODD = ['"', '""', "\t", "\n", "\r\n", "\r", "\f", "\u2028", "\x85", "\0", "\u200b", "\u00a0",
        "\ufeff", "\\", "'", ",", "{", "}", "[", "]", ":", "id", "text", "title", "1", "é"]
_TEXTS = st.lists(
    st.one_of(st.sampled_from(_ODD), st.text(max_size=3)), max_size=8).map("".join)
_SEEN = _TEXTS.filter(lambda text: not jsonl.is_blank(text))
_LINE = _TEXTS.map(lambda text: "".join(text.split()))
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS,
              st.text(st.characters(exclude_categories=()), max_size=3)),  # surrogates too
    lambda inner: st.one_of(st.lists(inner, max_size=3),
                            st.dictionaries(_TEXTS, inner, max_size=3)), max_leaves=6)
_NAMES = ("id", "text", "title", "question", "answer", "prediction", "regex", "extract",
          "_id", "contents", "answers")


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  return tmp_path_factory.mktemp("fuzz")


def _write(path, content):
  path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
  return path


def _either(read, path):
  """What is read; None where one line says what is wrong with the file."""
  try:
    return read(path)
  except UserError as error:
    message = str(error)
    assert message.startswith(str(path.parent)) and "\n" not in message
    assert len(message.encode("utf-8")) < 1000  # it can be printed, and it is short
    return None


@st.composite
def _damaged(draw, contents):
  """A file as it should be, or changed, cut and packed; or any bytes at all."""
  content = draw(st.one_of(contents.map(str.encode), st.binary(max_size=60)))
  if draw(st.booleans()):
    at = draw(st.integers(0, len(content)))
    more = draw(st.one_of(st.binary(max_size=8), _TEXTS.map(str.encode)))
    content = content[:at] + more + content[at + draw(st.integers(0, 8)):]
  content = _PACK[draw(st.sampled_from(list(_PACK)))](content)
  return content[:draw(st.sampled_from([None, None, -1, len(content) // 2]))]


@st.composite
def _json_lines(draw):
  """Rows in which the names are right more often than the values."""
  fields = st.dictionaries(st.sampled_from(_NAMES), st.one_of(_SEEN, _VALUES))
  rows = draw(st.lists(st.one_of(fields, _VALUES), max_size=4))
  ends = draw(st.sampled_from(["\n", "\r\n", "\n\n", " "]))
  return ends.join(json.dumps(row, ensure_ascii=True) for row in rows)


_TABLES = st.tuples(st.sampled_from(["id\ttext\ttitle\n", ""]), st.text(
    st.sampled_from('1a"\t\n\r '), max_size=30)).map("".join)
_YAML = st.text(st.sampled_from('ab ?:-"\'\n[]{}&*!|>#\\u0U\0%@`,~'), max_size=40)
_ANY = _damaged(st.one_of(_json_lines(), _TABLES, _YAML, _TEXTS, _json_lines().map(
    lambda text: json.dumps([text]))))


@given(content=_ANY, name=st.sampled_from(
    ["a.jsonl", "a.tsv", "a.json", "a", "a.gz", "a.jsonl.gz", "a.json.bz2"]),
       strict=st.booleans())
def test_documents_of_any_file(folder, content, name, strict):
  path = _write(folder / name, content)
  documents = _either(lambda path: list(readers.read_documents(path, strict)), path)
  if documents is not None:
    assert documents and len({document.id for document in documents}) == len(documents)
    for document in documents:
      assert not jsonl.is_blank(document.id) and not jsonl.is_blank(document.text)
      "".join((document.id, document.title, document.text)).encode("utf-8")


@given(content=_ANY, answered=st.booleans())
def test_questions_of_any_file(folder, content, answered):
  path = _write(folder / "q.jsonl", content)
  for question in _either(lambda path: read_questions(path, answered), path) or ():
    assert not jsonl.is_blank(question.question) and isinstance(question.id, str)
    assert answered or not question.answers
    assert all(answer.strip() for answer in question.answers)


@given(content=_ANY)
def test_other_text_files_of_any_kind(folder, content):
  """Predictions, ids of documents, vocabularies, training sets to be split."""
  path = _write(folder / "p", content)
  for record in _either(predictions.read_predictions, path) or ():
    assert isinstance(record["question"], str)
  ids = _either(readers.read_ids, path) or ()
  assert all(name.strip() and "\n" not in name for name in ids)
  assert all(_either(read_vocabulary, path) or ())
  _either(lambda path: orqa.resplit(path, "x", folder / "split"), path)


@given(content=_damaged(st.one_of(_YAML, _TEXTS)))
def test_trivia_of_any_file(folder, content):
  (folder / "trivia").mkdir(exist_ok=True)
  path = _write(folder / "trivia" / "a.yaml", content)
  for question in _either(lambda path: trivia.read_trivia(path.parent), path) or ():
    assert question.answers and "".join((question.question, *question.answers)).encode()


@given(names=st.lists(st.sampled_from("abc"), unique=True), damage=st.data())
def test_tensors_of_any_file(folder, names, damage):
  written = {name: np.arange(6, dtype=np.float32).reshape(2, 3) for name in names}
  content = bytearray(safetensors.numpy.save(written))
  read = read_safetensors(_write(folder / "a.safetensors", bytes(content)))
  assert {name: value.tolist() for name, value in read.items()} == {
      name: value.tolist() for name, value in written.items()}
  at = damage.draw(st.integers(0, len(content)))
  content[at:at + 2] = damage.draw(st.binary(max_size=3))
  path = _write(folder / "a.safetensors", bytes(content))
  for value in dict(_either(read_safetensors, path) or {}).values():
    assert isinstance(value, np.ndarray)


@given(text=_TEXTS, kind=st.sampled_from(list(_PACK)), mark=st.sampled_from(["", "\ufeff"]))
def test_lines_are_those_between_line_feeds(folder, text, kind, mark):
  path = _write(folder / f"lines{kind}", _PACK[kind]((mark + text).encode("utf-8")))
  numbered = list(lines.read_lines(path, "text"))
  text = text if mark else text.removeprefix("\ufeff")
  end = "\n" if "\n" in text else "\r"  # as on old Macs
  assert [line for _, line in numbered if line] == io.StringIO(text, newline=end).readlines()
  assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))


# Whole files, which come back as they were.

_DOCUMENTS = st.lists(st.tuples(_SEEN, _TEXTS, _TEXTS), unique_by=lambda row: row[0],
                      min_size=1, max_size=4)


def _seen(documents):
  return [Document(*fields) for fields in documents if not jsonl.is_blank(fields[2])]


def _written(folder, name, content, documents):
  """Reads what was written; documents all of which are blank are refused."""
  read = _either(lambda path: list(readers.read_documents(path)),
                 _write(folder / name, content))
  assert (read or []) == _seen(documents)


@given(documents=_DOCUMENTS, ascii_only=st.booleans(), end=st.sampled_from(["\n", "\r\n\n"]))
def test_documents_in_json(folder, documents, ascii_only, end):
  rows = [dict(zip(("id", "title", "text"), fields)) for fields in documents]
  text = "".join(json.dumps(row, ensure_ascii=ascii_only) + end for row in rows)
  for name in ("a.jsonl", "a.json", "a"):
    _written(folder, name, text, documents)
  leads = {name: {"title": title, "extract": text} for name, title, text in documents}
  for indent in (None, 1):
    _written(folder, "leads.json", json.dumps(leads, indent=indent), documents)


@given(documents=_DOCUMENTS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_documents_in_a_table_that_csv_wrote(folder, documents, quoting):
  file = io.StringIO(newline="")
  writer = csv.writer(file, delimiter="\t", quoting=quoting)
  writer.writerow(["id", "text", "title"])
  writer.writerows((name, text, title) for name, title, text in documents)
  path = _write(folder / "a.tsv", file.getvalue())
  read = _either(lambda path: list(readers.read_documents(path)), path)
  if read is not None or not any("\n" in "".join(fields) for fields in documents):
    assert (read or []) == _seen(documents)  # lines of a value may look like records


@given(rows=st.lists(st.tuples(_LINE, _LINE), min_size=1, max_size=6))
def test_documents_in_a_table_without_a_thought_of_quotes(folder, rows):
  """Each line is its document, or a quote is named; none takes in another's line."""
  text = "".join(f"{i}\t{text}x\t{title}\n" for i, (text, title) in enumerate(rows))
  path = _write(folder / "a.tsv", "id\ttext\ttitle\n" + text)
  read = _either(lambda path: list(readers.read_documents(path)), path)
  if read is None:
    assert any(value.startswith('"') for row in rows for value in row)
    return
  for i, (document, (text, title)) in enumerate(zip(read, rows, strict=True)):
    assert (document.id, document.text) == (str(i), f"{text}x")
    assert document.title in (title, title[1:-1].replace('""', '"'))


_ANSWERS = st.lists(_SEEN.filter(str.strip), min_size=1)


@given(questions=st.lists(st.tuples(_SEEN, _SEEN, _ANSWERS), unique_by=lambda row: row[0],
                          min_size=1, max_size=4),
       name=st.sampled_from(["q.jsonl", "q.jsonl.gz"]))
def test_questions_come_back(folder, questions, name):
  written = [Question(name, text, tuple(answers)) for name, text, answers in questions]
  write_questions(folder / name, written)
  read = read_questions(folder / name)
  assert read == written or all(question.regex for question in read)
  assert [(q.id, q.question) for q in read] == [(q.id, q.question) for q in written]
  assert read_questions(folder / name, answered=False) == [
      Question(q.id, q.question, ()) for q in written]


@given(predicted=st.dictionaries(_TEXTS, _TEXTS, min_size=1, max_size=4))
def test_predictions_come_back(folder, predicted):
  text = "".join(json.dumps({"question": question, "prediction": prediction}) + "\n"
                 for question, prediction in predicted.items())
  assert {record["question"]: record["prediction"] for record in predictions.read_predictions(
      _write(folder / "p.jsonl", text))} == predicted


@given(ids=st.lists(_SEEN.map(lambda name: name.replace("\n", "").strip("\ufeff\r")).filter(
    str.strip)), end=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_ids_come_back(folder, ids, end):
  path = _write(folder / "ids", "".join(f"{name}{end}" for name in ids))
  assert readers.read_ids(path) == ids


@given(answers=st.lists(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1),
                        min_size=1, unique=True))
def test_trivia_come_back(folder, answers):
  (folder / "lists").mkdir(exist_ok=True)
  _write(folder / "lists" / "a.yaml", yaml.safe_dump({"What do they ask us?": answers}))
  read = trivia.read_trivia(folder / "lists")
  if read:  # yes and no are no answers
    assert read == [Question("a-1", "What do they ask us?", tuple(answers))]


# Folders, tables and dumps.

_MARKUP = st.lists(st.one_of(st.sampled_from([
    "{{", "}}", "[[", "]]", "|", "=", "<ref>", "</ref>", "{|", "|}", "\n", "'''", "* ", "==",
    "convert", "formatnum:", "1987", "km", "&nbsp;", "<!--", "-->", "<b>", "</b>", "File:",
    "val", "birth date", "lang", "<nowiki>", "<math>", "{{{", "}}}", "#if:", "age", "as of"]),
    _TEXTS), max_size=14).map("".join)


@given(text=_MARKUP)
def test_any_wikitext_is_an_article(text):
  read = article.read_article(json.dumps({"title": "T", "text": text}).encode())
  assert read["text"] == read["text"].strip() and "\n\n\n" not in read["text"]
  json.dumps(read).encode()


_PAGES = st.lists(st.sampled_from([
    "<p>", "</p>", "<div>", "<table>", "<td>", "<br>", "<!--", "-->", "<script>", "</script>",
    "<pre>", "<main>", "<title>", "</title>", "<li>", "&amp;", "&#0;", "&#xd800;", "<", ">",
    "# ", "```", "---\n", "title: ", "| a |", "[a](b)", "<meta charset=utf-16>", "\ue000"]) |
                  _TEXTS, max_size=12).map("".join)


@given(content=_damaged(_PAGES))
def test_pages_of_any_bytes(content):
  for read in (html.read_html, markdown.read_markdown, text_file.read_plain_text):
    try:
      title, text = read(content)
    except Unreadable as problem:
      assert problem.reason
      continue
    (title + text).encode()
    assert "\0" not in text


@given(documents=_DOCUMENTS, delimiter=st.sampled_from(",;\t|"),
       order=st.permutations(range(3)))
def test_documents_in_a_table_with_named_columns(folder, documents, delimiter, order):
  file = io.StringIO(newline="")
  writer = csv.writer(file, delimiter=delimiter)
  names = ("id", "title", "text")
  writer.writerow([names[i] for i in order])
  writer.writerows([row[i] for i in order] for row in documents)
  path = _write(folder / "a.csv", file.getvalue())
  assert (_either(lambda path: list(readers.read_documents(path)), path) or []) == _seen(
      documents)


@given(content=_damaged(_TABLES.map(lambda text: text.replace("\t", ","))))
def test_tables_of_any_bytes(folder, content):
  path = _write(folder / "b.csv", content)
  for document in _either(lambda path: list(readers.read_documents(path)), path) or ():
    assert not jsonl.is_blank(document.text)


@given(content=_damaged(st.lists(st.sampled_from([
    "<mediawiki>", "</mediawiki>", "<page>", "</page>", "<title>A</title>", "<id>1</id>",
    "<ns>0</ns>", "<revision>", "</revision>", "<text>x &amp; y</text>", "<redirect/>",
    "<!DOCTYPE a>", "&a;", "<text>", "</text>", "\n"]), max_size=14).map("".join)))
def test_dumps_of_any_bytes(folder, content):
  path = _write(folder / "a.xml", content)
  for page in _either(lambda path: list(dump.read_pages(
      lines.read_lines(path, "XML"), path)), path) or ():
    assert isinstance(page.title, str)
