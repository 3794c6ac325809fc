"""Folders of documents: what is read, what is skipped and named, and ids that are paths."""

import bz2
import gzip
import json
import os
import pathlib
import sys

import pytest

from realm_tf.corpus.readers import Document, ReadingReport, html, markdown, read_documents
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.errors import UserError


def _folder(root, contents):
  for name, content in contents.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
  return root


def _reasons(path):
  """What is read, and reason by name of what is not."""
  with open(path.parent / "skipped.jsonl", "w", encoding="utf-8") as file:
    documents = list(read_documents(path, report=ReadingReport(file)))
  rows = map(json.loads, (path.parent / "skipped.jsonl").read_text().splitlines())
  return documents, {row["name"]: row["reason"] for row in rows}


@pytest.fixture(name="root")
def _root(tmp_path):
  (tmp_path / "docs").mkdir()
  return tmp_path / "docs"


def test_paths_are_ids_in_one_order(root):
  _folder(root, {
      "b.txt": "Bee.", "a/z.TXT": "Zed.\r\nTwo.\rThree.", "a/b/c.md": "# See\n\n*Sea*.",
      "東京.html": "<title>Tōkyō</title><p>Old &amp; great.", "a b\n.txt": "Odd name.",
      "packed.txt.gz": gzip.compress(b"Packed."), "packed.md.bz2": bz2.compress(b"Two."),
      "marked.txt": b"\xef\xbb\xbfMarked.", "wide.txt": "Wide.".encode("utf-16")})
  assert list(read_documents(root)) == [
      Document("a/b/c.md", "See", "Sea."), Document("a/z.TXT", "z", "Zed.\nTwo.\nThree."),
      Document("a b\n.txt", "a b\n", "Odd name."),
      Document("b.txt", "b", "Bee."), Document("marked.txt", "marked", "Marked."),
      Document("packed.md.bz2", "packed", "Two."),
      Document("packed.txt.gz", "packed", "Packed."), Document("wide.txt", "wide", "Wide."),
      Document("東京.html", "Tōkyō", "Old & great.")]
  assert list(read_documents(f"{root}/", format="folder")) == list(read_documents(root))


_BAD = {"latin.txt": b"caf\xe9", "binary.txt": b"a\0b", "half.txt": b"\xff\xfea",
        "pdf.txt": b"%PDF-1.4", "cut.txt.gz": gzip.compress(b"x" * 999)[:-9],
        "no.txt.bz2": b"BZh9" + b"1AY&SY" + bytes(30), "blank.md": "<!-- -->",
        "empty.txt": "",
        "latin.html": b"<p>caf\xe9", "lies.html": b"<meta charset=utf-8>\xff",
        "odd.html": b"<meta charset='klingon'>x",
        "pointer.md": "version https://git-lfs.github.com/spec/v1"}


def test_what_cannot_be_read_is_skipped_and_named(root):
  _folder(root, {**_BAD, "good.txt": "Good."})
  documents, reasons = _reasons(root)
  assert documents == [Document("good.txt", "good", "Good.")]
  assert reasons == {
      "latin.txt": "not UTF-8", "binary.txt": "not text: it holds NUL bytes",
      "half.txt": "not UTF-16-LE", "pdf.txt": "looks like a PDF", "cut.txt.gz": "damaged",
      "no.txt.bz2": "damaged", "blank.md": "text is empty or blank",
      "empty.txt": "text is empty or blank", "latin.html": "not UTF-8",
      "lies.html": "not UTF-8", "odd.html": "not KLINGON",
      "pointer.md": "looks like a pointer of Git LFS: `git lfs pull` fetches the file"}


@pytest.mark.parametrize("name", list(_BAD))
def test_strict_refuses_it(root, name):
  _folder(root, {name: _BAD[name], "a.txt": "Good."})
  with pytest.raises(UserError, match=rf"^\S*docs/{name}: ") as caught:
    list(read_documents(root, strict=True))
  assert "\n" not in str(caught.value)


def test_links_and_what_is_hidden_are_not_read(root, tmp_path):
  _folder(tmp_path, {"secret.txt": "Secret."})
  _folder(root, {"a.txt": "A.", ".git/b.txt": "x", ".c.txt": "x", "~$d.docx": "x",
                 "e.png": "x", "f": "x", "in/g.txt": "G."})
  os.symlink("..", root / "in" / "loop")
  os.symlink(tmp_path / "secret.txt", root / "out.txt")
  os.symlink("nowhere", root / "dangling.txt")
  os.mkfifo(root / "pipe.txt")
  documents, reasons = _reasons(root)
  assert [document.id for document in documents] == ["a.txt", "in/g.txt"]
  assert reasons == {
      ".git": "hidden files and folders", ".c.txt": "hidden files and folders",
      "~$d.docx": "hidden files and folders", "e.png": "other kinds of files (.png)",
      "f": "other kinds of files (no suffix)", "in/loop": "links are not followed",
      "out.txt": "links are not followed", "dangling.txt": "links are not followed",
      "pipe.txt": "not a regular file"}


def test_a_folder_of_files_of_many_documents_says_to_name_one(tmp_path):
  (tmp_path / "a.png").write_text("x")
  with pytest.raises(UserError, match=r"empty corpus: 1 other kinds of files \(.png\)"):
    list(read_documents(tmp_path))
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "a.jsonl.gz").write_text("x")
  with pytest.raises(UserError, match="empty corpus: .* own names: .*/in/a.jsonl.gz"):
    list(read_documents(tmp_path))
  (tmp_path / "b.txt").write_text("Some text.")
  assert len(list(read_documents(tmp_path))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_opened_is_skipped(root):
  _folder(root, {"a.txt": "A.", "b.txt": "B.", "c/d.txt": "D."})
  (root / "b.txt").chmod(0)
  (root / "c").chmod(0)
  documents, reasons = _reasons(root)
  (root / "c").chmod(0o700)
  assert [document.id for document in documents] == ["a.txt"]
  assert reasons == {"b.txt": "cannot be read", "c": "folder cannot be read"}


def test_a_name_that_is_not_utf8(root):
  _folder(root, {"a.txt": "A."})
  with open(os.path.join(os.fsencode(root), b"\xff.txt"), "wb") as file:
    file.write(b"B.")
  documents, reasons = _reasons(root)
  assert [document.id for document in documents] == ["a.txt"]
  assert reasons == {"\udcff.txt": "name is not UTF-8"}
  with pytest.raises(UserError, match="name is not UTF-8") as caught:
    list(read_documents(root, strict=True))
  str(caught.value).encode()


def test_a_bomb_of_gzip(root):
  packed = gzip.compress(bytes(1 << 20)) * 129
  documents, reasons = _reasons(_folder(root, {"a.txt": "A.", "bomb.txt.gz": packed}))
  assert len(documents) == 1 and reasons == {"bomb.txt.gz": "larger than 128 MiB"}


def test_a_folder_of_no_documents(root):
  with pytest.raises(UserError, match=r"docs: an empty corpus: .*\.md"):
    list(read_documents(root))
  _folder(root, {"a.png": "x", "b.txt": b"\xff"})
  with pytest.raises(UserError, match=r"corpus: not UTF-8: 'b.txt'; 1 other .*\(.png\)"):
    list(read_documents(root))
  with pytest.raises(UserError, match="nothing: cannot be read"):
    list(read_documents(root / "nothing", format="folder"))


def test_a_missing_library_is_one_line(root, monkeypatch):
  _folder(root, {"a.txt": "A.", "b.html": "<p>B."})
  monkeypatch.setitem(sys.modules, "lxml", None)
  with pytest.raises(UserError, match=r"b.html: .* lxml.*: pip install 'realm_tf\[doc"):
    list(read_documents(root))
  (root / "b.html").unlink()
  assert len(list(read_documents(root))) == 1


def test_one_document_is_a_folder_of_it(root):
  _folder(root, {"a.md": "# Title\n\nText.", "b.md": b"\xff"})
  assert list(read_documents(root / "a.md")) == [Document("a.md", "Title", "Text.")]
  with pytest.raises(UserError, match=r"^\S*docs/b.md: not UTF-8"):
    list(read_documents(root / "b.md", strict=True))


def test_it_streams(root):
  _folder(root, {f"{i:04}.txt": f"Number {i}." for i in range(300)})
  documents = read_documents(root)
  assert next(documents).id == "0000.txt"
  for path in root.iterdir():
    path.unlink()
  assert len(list(documents)) < 100  # the others were not opened before their turn


# HTML.

def _page(content):
  return html.read_html(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("page, title, text", [
    ("<h1>Big</h1><p>One <b>t</b>wo<br>three</p>four<div>five<p>six", "Big",
     "One two\nthree\n\nfour\n\nfive\n\nsix"),
    ("<title>T\n t</title><h1>T t</h1>One.<!-- no --><script>no()</script><style>no</style>",
     "T t", "One."),
    ("<header><nav>no</nav><h1>H</h1></header><main><p>Yes.</main><footer>no</footer>", "H",
     "Yes."),
    ("<form><p>Kept.<button>no</button><select><option>no</select></form>", "", "Kept."),
    ("<ul><li>1<li>2<ul><li>3</ul></ul>", "", "1.\n2\n\n3."),
    ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "", "a | b.\n1 | 2."),
    ("<dl><dt>Kind<dd>Old<dt><b>Built:</b><dd><p>1998</p><dt>How?<dd>So.<dt>Two<dd>a</dd><dd>b"
     "<dt>c<dt>d<dd>e<dt hidden>no<dd>f<dt>g<dd hidden>no</dd><div><dt>h<dd>i</div></dl>", "",
     "Kind: Old.\nBuilt: 1998.\n\nHow?\nSo.\nTwo: a.\nb.\nc\nd: e.\nf.\ng.\n\nh: i."),
    (f"<dl><dt>{'long ' * 11}<dd>a<dt>b<!-- --><dd>c", "", f"{'long ' * 10}long\na.\nb: c."),
    ("<table><thead><tr><th>a<th>b<th>c<tbody><tr><td>1<td><br>&nbsp;<td><p>2</p><tr><td>3<td>"
     "<td><tr><td><img><td>4<td>5<tr><td>6<td></table>", "",
     "a | b | c.\n1 | – | 2.\n3 | – | –.\n4 | 5.\n6"),
    ("<table><tr><td>a<td><tr><td><td>b</table><table><tr><th>a<th>b<tr><td><table><tr><td>c"
     "<td><tr><td><td>d</table><td></table>", "", "a\nb\n\na | b.\n\nc\nd"),
    ("<pre>a  b\n  c</pre><p>d   e\nf", "", "a  b\n  c\n\nd e f"),
    ("&lt;p&gt; &eacute;&#233;&#x1F600;&nbsp;x &unknown;", "", "<p> éé😀\u00a0x &unknown;"),
    ("<p hidden>no</p><template>no</template><noscript>no</noscript>yes", "", "yes"),
    ("<p style='Display : None'>no<b>no</b></p><i style='visibility:hidden'>no</i>yes"
     "<p style='display: block'>Yes.", "", "yes\n\nYes."),
    ("<svg><title>no</title></svg><p>1 < 2", "", "1 < 2"),
    ("<p>10<sup>6</sup> m<sup>−2</sup>, 2<sup>nd</sup>, so<sup>[3]</sup>, H<sub>2</sub>O", "",
     "10⁶ m⁻², 2nd, so[3], H2O"),
    ("<p>10<sup><b>6</b></sup> 10<sup>−<i>3</i></sup>, so<sup><a href=x>[3]</a></sup>", "",
     "10⁶ 10⁻³, so[3]"),
    ("<math><mn>3</mn><mfrac><mn>1</mn><mn>2</mn></mfrac> <msup><mn>10</mn><mn>6</mn></msup> "
     "<msup><mi>x</mi><mi>k</mi></msup></math>.", "", "3 1/2 10⁶ x^k."),
    ("<p>He said <q>yes, <q lang=fr>oui</q></q>. <q>No", "", "He said “yes, ‘oui’”. “No”"),
    ("<p>5<sup>1</sup>/<sub>2</sub> in, x<sup>n+1</sup>, so<sup>1, 2–4</sup>, 10<sup>2</sup>"
     "/3", "", "5 1/2 in, xⁿ⁺¹, so¹, ²–⁴, 10²/3"),
    ("<math><msqrt><mn>2</mn></msqrt> <mroot><mn>8</mn><mn>3</mn></mroot></math>.", "",
     "√2 8^1/3."),
    ("<h1>Head<a class=headerlink href=#h>¶</a></h1><p>It is <span><math><mn>1</mn></math>"
     "<span aria-hidden=true>1</span></span>.<div aria-hidden=true>Kept.", "Head",
     "It is 1.\n\nKept."),
    ("a<form>b</form>c<menu>d</menu>e<xmp>f  <b></xmp>g<fieldset><legend>h</legend>i", "",
     "a\n\nb\n\nc\n\nd\n\ne\n\nf  <b>\n\ng\n\nh\n\ni"),
    ("<html><body>a</body></html>b<html><body><p>c</BODY ></html>d", "", "ab\n\ncd"),
    ("<?xml version='1.0'?><html><script>//<![CDATA[\nno('</p>')//]]></script><p>a<![CDATA["
     "<b]]>c</p></html>", "", "a<bc"),
    ("<p><q hidden>no</q><pre hidden>no</pre><sup hidden>2</sup>a  b 2", "", "a b 2"),
    ("<p>in&shy;for\u00admation", "", "information"),
    ("<html hidden><body style='display:none'>Yes.<p hidden>no", "", "Yes."),
    ("", "", ""), ("   ", "", ""), ("Text alone.", "", "Text alone."),
    ("<math><mn>42</mn><annotation>no</annotation></math> is it", "", "42 is it")])
def test_pages(page, title, text):
  title_and_text = _page(page)
  assert title_and_text == (title, text)


@pytest.mark.parametrize("head, charset", [
    ("<meta charset=windows-1252>", "windows-1252"), ('<meta charset="UTF-8">', "utf-8"),
    ('<META http-equiv="Content-Type" content="text/html; charset=ISO-8859-1">', "cp1252"),
    ("<?xml version='1.0' encoding='iso-8859-15'?><html>", "iso-8859-15"), ("", "utf-8"),
    ("<!--\n<meta charset=koi8-r> -->", "utf-8"),
    ("<meta charset=koi8-r>", "utf-8-sig"), ("<meta charset=klingon>", "utf-16")])
def test_the_encoding_of_a_page(head, charset):
  assert _page(f"{head}<p>Café".encode(charset))[1] == "Café"


def test_a_deep_page_is_read_or_skipped():
  assert _page("<div>" * 2_000 + "deep")[1] == "deep"
  with pytest.raises(Unreadable, match="nested too deep"):
    _page("<div>" * 50_000 + "deep")


# Markdown.

@pytest.mark.parametrize("text, title, body", [
    ("# One\n\nA *b* **c** `d_e` [f](http://x) ![g](h)\nsame line  \nnext.\n\n## Two\n\nEnd.",
     "One", "A b c d_e f same line\nnext.\n\nTwo\n\nEnd."),
    ("---\ntitle: 'A: b'\ntags: [x]\n---\n# Head\n\nText.", "A: b", "Head\n\nText."),
    ("---\r\ntitle: Same\r\n---\r\n# Same\r\n\r\nText.", "Same", "Text."),
    ("+++\ntitle = \"Toml\"\n+++\nText.", "Toml", "Text."),
    ("---\ntitle: [broken\n---\nText.", "", "Text."), ("---\n---\nText.", "", "Text."),
    ("---\ntitle: A: b\nx: 'y'\n---\nText.", "A: b", "Text."),
    ('{"title": "J", "a": {}}\n\nText.', "J", "Text."),
    ('{\n "title": "J"\n}\n# Head\n\nText.', "J", "Head\n\nText."),
    ('---json\n{"title": "J"}\n---\nText.', "J", "Text."),
    ('---toml\ntitle = "T"\n---\nText.', "T", "Text."),
    ('{"title": "J"} is JSON.', "", '{"title": "J"} is JSON.'), ("{% x %}", "", "{% x %}"),
    ('{"a": 1}', "", '{"a": 1}'), ("[" * 9_999, "", "[" * 9_999), ("{}\na", "", "{} a"),
    ("> [!NOTE]\n> Read *it*.\n\n> [!x]\n\n[!TIP]", "", "Note\nRead it.\n\n[!x]\n\n[!TIP]"),
    ("---\n\nJust a rule.\n\n---\n\nText.", "", "Just a rule.\n\nText."),
    ("```\n# no heading\n  x < 1\n```\n\nText.", "", "# no heading\n  x < 1\n\nText."),
    ("Setext\n======\n\nText &amp; \\*stars\\*.", "Setext", "Text & *stars*."),
    ("**Role:** Head\nof sales\n*Town*: Rome\nsee: no  \nend\n\nA\nB C: d", "",
     "Role: Head of sales.\nTown: Rome see: no\nend.\n\nA\nB C: d."),
    ("|a|b|\n|---|---|\n||1|\n|2||\n|||", "", "a | b.\n– | 1.\n2 | –."),
    ("- a\n- b\n\n1. c\n", "", "a.\nb.\n\nc."), ("> Quote.\n", "", "Quote."),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "", "a | b.\n1 | 2."),
    ('<p align="center">Hi <!-- no --></p>\n\n# Name\n\nText.', "Name",
     "Hi\n\nName\n\nText."),
    ("# Name {#id .c}\n\nText {#id}.\n\n## Two {: #x}", "Name", "Text {#id}.\n\nTwo"),
    ("---\ntitle: 2024\n---\nYear.", "2024", "Year."),
    ("See[^1][^b] [here][a].\n\n[a]: /x\n[^1]: Word.\n[^b]: *Two* words\n[^c]: /x 'T'", "",
     "See here.\n\nWord.\n\nTwo words\n\n/x 'T'"),
    ("> " * 30 + "deep", "", "deep"),
    ("".join(f"{'  ' * level}- {level}\n" for level in range(30)), "",
     "\n".join(map(str, range(30))) + "."),
    ("> Text,\n> [^1]: Word.\n\n- a\n\n  [^é]: Word\n\n    [^2]: Code", "",
     "Text,\n\nWord.\n\na\n\nWord\n\nCode.")])
def test_markdown(text, title, body):
  title_and_body = markdown.read_markdown(text.encode())
  assert (title_and_body[0], [line for line in title_and_body[1].splitlines() if line]) == (
      title, [line for line in body.splitlines() if line])


def test_a_bomb_of_yaml_is_not_unfolded():
  lines = ["a0: &a0 x"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]"
                           for i in range(1, 30)]
  text = "\n".join(["---", *lines, "title: T", "---", "Text."])
  assert markdown.read_markdown(text.encode()) == ("T", "Text.")


def test_ids_do_not_depend_on_how_the_folder_is_named(root, monkeypatch):
  _folder(root, {"a/b.txt": "B."})
  monkeypatch.chdir(root)
  for name in (".", "./", "../docs", root, pathlib.Path("..") / "docs" / "a" / ".."):
    assert [document.id for document in read_documents(name)] == ["a/b.txt"]
