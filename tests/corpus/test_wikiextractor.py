"""Folders that WikiExtractor writes."""

import bz2
import json

import pytest

from realm_tf.corpus.readers import Document, ReadingReport, read_documents
from realm_tf.errors import UserError


def _page(name, title, text):
  return json.dumps({"id": name, "revid": "7", "url": "http://x?curid=1", "title": title,
                     "text": text}) + "\n"


def _folder(root, files):
  for name, content in files.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
  return root


def test_pages_in_the_order_of_the_files(tmp_path):
  _folder(tmp_path, {
      "AB/wiki_00": _page("3", "T&amp;ōkyō", "Tōkyō is\nold.\n"),
      "AA/wiki_01.bz2": bz2.compress(
          _page("2", "B", "B\n\nTwo &lt; 3 &amp;amp; 4.").encode()),
      "AA/wiki_00": _page("1", "A", 'One <a href="x">link</a>.') + _page("9", "Blank", "")
      + _page("5", "List of towns", "x") + _page("6", "A (disambiguation)", "x"),
      "AA/notes": "x"})
  report = ReadingReport()
  assert list(read_documents(tmp_path, report=report)) == [
      Document("1", "A", "One link."), Document("2", "B", "Two < 3 &amp; 4."),
      Document("3", "T&ōkyō", "Tōkyō is\nold.\n")]
  summary = report.summary(3)
  assert summary["skipped"] == {"text is empty or blank": 1}
  assert summary["left_out"] == {"lists, indexes and outlines": 1, "disambiguations": 1,
                                 "other kinds of files": 1}
  assert len(list(read_documents(tmp_path / "AA"))) == 2
  assert len(list(read_documents(tmp_path / "AA" / "wiki_01.bz2"))) == 1


@pytest.mark.parametrize("text, read", [
    ("Section::::History.\nOld.\nBULLET::::- One.\nBULLET::::1. Two.", "History.\nOld.\nOne."
     "\n1. Two."),
    ("<h2>Past</h2>\n<ul><li>&lt;b&gt;Old&lt;/b&gt;</ul>\n1 &lt; 2", "Past\nOld\n1 < 2"),
    ("C++ std::::x, a <br> b <alpha>", "C++ std::::x, a <br> b <alpha>")])
def test_text_of_older_versions_and_with_html(tmp_path, text, read):
  _folder(tmp_path, {"AA/wiki_00": _page("1", "A", text)})
  assert [document.text for document in read_documents(tmp_path)] == [read]


@pytest.mark.parametrize("content, message", [
    ("<doc id=\"1\">\n", ":1: not valid JSON .*WikiExtractor writes with --json"),
    (_page("1", "A", "x") + "{}\n", ":2: field 'title' is missing"),
    (_page("1", "A", "x") * 2, ":2: field 'id': '1' is there already, in .*AA/wiki_00:1"),
    (b"BZh91AY&SY" + bytes(9), ": damaged bzip2 file")])
def test_what_is_wrong_is_named(tmp_path, content, message):
  _folder(tmp_path, {"AA/wiki_00": content})
  with pytest.raises(UserError, match=rf"^\S*AA/wiki_00{message}"):
    list(read_documents(tmp_path))
  with pytest.raises(UserError, match=rf"^\S*AA/wiki_00{message}"):  # and as one file
    list(read_documents(tmp_path / "AA" / "wiki_00"))
