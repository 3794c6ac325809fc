"""Dumps of MediaWiki: which pages are read, and what is wrong with a dump."""

import bz2
import gzip
import json
import tracemalloc
from xml.sax.saxutils import escape

import pytest

from realm_tf.corpus.readers import Document, ReadingReport, dump, mediawiki, read_documents
from realm_tf.errors import UserError

_HEAD = ('<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" '
         'xml:lang="en">\n  <siteinfo>\n    <sitename>Wikipedia</sitename>\n'
         '    <namespaces>\n'
         '      <namespace key="0" case="first-letter" />\n      <namespace key="1" '
         'case="first-letter">Talk</namespace>\n    </namespaces>\n  </siteinfo>\n')
_TAIL = "</mediawiki>\n"


def _page(name, title, text, ns="0", more="", model="wikitext"):
  return (f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{ns}</ns>\n    <id>{name}"
          f"</id>\n{more}    <revision>\n      <id>99{name}</id>\n"
          "      <parentid>1</parentid>\n"
          "      <contributor>\n        <username>U</username>\n        <id>7</id>\n"
          f"      </contributor>\n      <model>{model}</model>\n      <text bytes=\"3\" "
          f'xml:space="preserve">{escape(text)}</text>\n    </revision>\n  </page>\n')


def _dump(path, *pages, pack=bytes):
  path.write_bytes(pack((_HEAD + "".join(pages) + _TAIL).encode()))
  return path


_PAGES = (
    _page(12, "Anarchism", "'''Anarchism''' is {{convert|5|km}} & <b>old</b>.{{cite|x}}"),
    _page(13, "AA", "#REDIRECT [[A]]", more='    <redirect title="A" />\n'),
    _page(14, "BB", "#WEITERLEITUNG [[B]]"), _page(15, "Talk:A", "Talk.", ns="1"),
    _page(16, "List of A", "* a"), _page(17, "Outline of B", "b"),
    _page(18, "A (disambiguation)", "a"), _page(19, "C", "* [[a]]\n{{disambiguation}}"),
    _page(20, "Module", "return {}", model="Scribunto"),
    _page(21, "Empty", "{{x}}{{cite|y}}"),
    _page(22, "Tōkyō & co", "東京 is <ref>x</ref>1 < 2."))
_DOCUMENTS = [Document("12", "Anarchism", "Anarchism is 5 km & old."),
              Document("22", "Tōkyō & co", "東京 is 1 < 2.")]


def test_an_article_that_begins_with_a_numbered_list_is_no_redirect(tmp_path):
  path = _dump(tmp_path / "wiki.xml", _page(1, "A", "# one [[b|item]]\n# [[c]]"))
  assert list(read_documents(path)) == [Document("1", "A", "one item\n\nc")]


@pytest.mark.parametrize("name, pack", [
    ("wiki.xml", bytes), ("wiki.xml.bz2", bz2.compress), ("wiki.xml.gz", gzip.compress),
    ("wiki-pages-articles", bytes)])
def test_articles_are_read(tmp_path, name, pack):
  with open(tmp_path / "skipped", "w", encoding="utf-8") as file:
    report = ReadingReport(file)
    path = _dump(tmp_path / name, *_PAGES, pack=pack)
    assert list(read_documents(path, report=report)) == _DOCUMENTS
  assert report.summary(2) == {
      "documents": 2, "skipped": {"text is empty or blank": 1},
      "left_out": {"redirects": 2, "lists, indexes and outlines": 2, "disambiguations": 2,
                   "pages of other namespaces": 1, "pages of Scribunto": 1},
      "dropped_templates": {"cite": 2, "x": 1, "disambiguation": 1}, "dropped_tags": {}}
  rows = map(json.loads, (tmp_path / "skipped").read_text().splitlines())
  assert {row["name"]: row["reason"] for row in rows} == {
      "AA": "redirects", "BB": "redirects", "Talk:A": "pages of other namespaces",
      "List of A": "lists, indexes and outlines",
      "Outline of B": "lists, indexes and outlines",
      "A (disambiguation)": "disambiguations", "C": "disambiguations",
      "Module": "pages of Scribunto", "Empty": "text is empty or blank"}


def test_a_multistream_dump(tmp_path):
  packed = b"".join(map(bz2.compress, map(str.encode, (_HEAD, *_PAGES, _TAIL))))
  (tmp_path / "wiki-multistream.xml.bz2").write_bytes(packed)
  assert list(read_documents(tmp_path / "wiki-multistream.xml.bz2")) == _DOCUMENTS


def test_an_old_dump_and_one_with_all_revisions(tmp_path):
  path = tmp_path / "old.xml"
  path.write_text('<?xml version="1.0" encoding="utf-8"?>\n<mediawiki><page><title>A</title>'
                  "<id>1</id><revision><id>5</id><text>Old.</text></revision><revision><id>6"
                  "</id><text>New.</text></revision></page></mediawiki>")
  assert list(read_documents(path)) == [Document("1", "A", "New.")]


_VIETNAMESE = _HEAD.replace("</namespaces>", "".join(
    f'      <namespace key="{key}" case="first-letter">{name}</namespace>\n'
    for key, name in ((-1, "Đặc biệt"), (6, "Tập tin"), (14, "Thể loại"))) + "</namespaces>")


def test_files_and_categories_are_called_as_the_dump_says(tmp_path):
  path = tmp_path / "vi.xml"
  path.write_text(_VIETNAMESE + _page(
      1, "A", "[[Tập tin:a.jpg|nhỏ|phải|Ảnh [[b]]]]Một [[tập_tin:c.png]] hai [[Bài: d]].\n"
      "[[Thể loại:X]]\n== Tham khảo ==\nba") + _TAIL)
  assert list(read_documents(path)) == [Document("1", "A", "Một hai Bài: d.")]


def test_an_old_dump_tells_namespaces_by_titles(tmp_path):
  pages = (_page(1, "A: b", "One."), _page(2, "Talk:A", "no"), _page(3, "Tập Tin:A", "no"))
  path = tmp_path / "old.xml"
  path.write_text(_VIETNAMESE + "".join(pages).replace("    <ns>0</ns>\n", "") + _TAIL)
  report = ReadingReport()
  assert list(read_documents(path, report=report)) == [Document("1", "A: b", "One.")]
  assert report.summary(1)["left_out"] == {"pages of other namespaces": 2}


@pytest.mark.parametrize("title, text, expected", [
    ("a<b>c</b>", "One.", Document("1", "ac", "One.")),
    ("A", "One <i>two <b>three</b></i>.", Document("1", "A", "One two three.")),
    ("A", "One <page>two</page><redirect/>.", Document("1", "A", "One two.")),
    ("A<title>B</title>", "One <text>two</text>.", Document("1", "AB", "One two."))])
def test_elements_inside_of_a_field_are_its_text(tmp_path, title, text, expected):
  path = tmp_path / "a.xml"
  path.write_text(f"{_HEAD}<page><title>{title}</title><id>1</id><revision><text>{text}"
                  f"</text></revision></page>{_TAIL}")
  assert list(read_documents(path)) == [expected]


def test_a_page_past_the_limits_is_skipped_by_its_name(tmp_path, monkeypatch):
  monkeypatch.setattr(mediawiki, "_SECONDS", 0.5)
  monkeypatch.setattr(dump, "MOST_PAGE_CHARACTERS", 300_000)
  path = _dump(tmp_path / "a.xml", _page(1, "Slow", "{{{1|" * 20_000),
               _page(2, "Long", "x" * 300_001), _page(3, "Good", "Good."))
  report = ReadingReport()
  assert list(read_documents(path, report=report)) == [Document("3", "Good", "Good.")]
  assert report.named("takes too long") == "entry 'Slow'"
  assert report.named("page is too long") == "entry 'Long'"
  with pytest.raises(UserError, match="a.xml: entry '(Slow|Long)': (takes|page is)"):
    list(read_documents(path, strict=True))


_BOMB = ('<?xml version="1.0"?>\n<!DOCTYPE lolz [\n<!ENTITY a "aaaaaaaaaa">\n'
         + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">\n'.replace("&a0;", "&a;")
                   for i in range(1, 10)) + "]>\n<mediawiki><page><title>&a9;</title></page>"
         "</mediawiki>")
_FILE = ('<!DOCTYPE mediawiki [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<mediawiki><page>'
         "<title>&x;</title></page></mediawiki>")


@pytest.mark.parametrize("content, message", [
    (_BOMB, ":2: declares a document type"), (_FILE, ":1: declares a document type"),
    ((_HEAD + _page(1, "A", "x"))[:-40], ":21: cut off XML"),
    (_HEAD + _page(1, "A", "x"), ":2[0-9]: cut off XML"),
    (_HEAD + "<page><title>A</page>", ":9: not well-formed XML .mismatched tag"),
    (_HEAD + "\0", ":9: not well-formed XML"), (_HEAD + "&undefined;", ":9: not well-formed"),
    (_HEAD.encode() + b"caf\xe9", ":9: not UTF-8"), ("<html><body>x", ": looks like an HTML"),
    ("<rss><page/></rss>", ": XML of <rss>; expected pages as MediaWiki exports"),
    (_HEAD + _TAIL, ": an empty corpus"),
    (_HEAD + _page(1, "A", "x") + _page(1, "B", "y") + _TAIL,
     ": entry 'B': field 'id': '1' is there already, in .*entry 'A'"),
    (_HEAD + _page("", "A", "x") + _TAIL, ": entry 'A': field 'id' is empty")])
def test_what_is_wrong_with_a_dump_is_named(tmp_path, content, message):
  path = tmp_path / "a.xml"
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(UserError, match=rf"^\S*a.xml{message}") as caught:
    list(read_documents(path))
  assert "\n" not in str(caught.value)


def test_a_broken_bz2(tmp_path):
  packed = bz2.compress((_HEAD + _page(1, "A", "x" * 99) + _TAIL).encode())
  for content in (packed[:-20], packed[:40] + b"\0\0\0" + packed[43:]):
    (tmp_path / "a.xml.bz2").write_bytes(content)
    with pytest.raises(UserError, match="a.xml.bz2: damaged bzip2 file"):
      list(read_documents(tmp_path / "a.xml.bz2"))


def test_memory_does_not_grow_with_the_dump():
  """A hundred times as many pages take the same memory to stream."""
  def peak(pages):
    lines = enumerate((line for text in (
        [_HEAD], (_page(i, f"P{i}", "word " * 2000) for i in range(pages)), [_TAIL])
        for part in text for line in part.splitlines(keepends=True)), 1)
    tracemalloc.start()
    assert sum(1 for _ in dump.read_pages(lines, "a.xml")) == pages
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak

  assert peak(1000) < 2 * peak(10) + 100_000
