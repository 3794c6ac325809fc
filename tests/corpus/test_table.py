"""CSV with named columns, against Python's csv."""

import bz2
import csv
import io

import pytest

from realm_tf.corpus.readers import Document, read_documents
from realm_tf.errors import UserError


def _write(path, content):
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  return path


@pytest.mark.parametrize("content, name", [
    ("id,title,text\n1,A,One.\n2,B,Two.\n", "a.csv"),
    ("text,id,title\r\nOne.,1,A\r\nTwo.,2,B\r\n", "a.csv"),
    ("\ufeffId; Title ;TEXT;Other\n1;A;One.;x\n2;B;Two.;y", "a.CSV"),
    ("sep=;\r\nid;title;text\r\n1;A;One.\r\n2;B;Two.\r\n", "a.csv"),
    ("\n\nid|title|text\n\n1|A|One.\n\n2|B|Two.\n\n", "a.csv"),
    ("id,title,text\n1,A,One.\n,,\n2,B,Two.\n,,\n,\n", "a.csv"),
    ('id, "title", text\n1, "A", "One." \n "2" ,"B",Two.\n', "a.csv"),
    ("id\ttitle\ttext\n1\tA\tOne.\n2\tB\tTwo.\n", "a.tsv"),
    ("id,title,text\n1,A,One.\n2,B,Two.\n", "a.txt"),
    ("id,title,text\r1,A,One.\r2,B,Two.\r", "a.csv"),
    ("\ufeffsep=;\r\rid;title;text\r1;A;One.\r2;B;Two.", "a.csv"),
    ('id,title,text,more\r1,A,One.,"x\ny"\r2,B,Two.,\r', "a.csv"),
    ('text,more,id,title\rOne.,"x\ny",1,A\rTwo.,,2,B', "a"),
    ("id\ttext\ttitle\r1\tOne.\tA\r2\tTwo.\tB\r", "a.tsv"),
    ('"id","title","text"\n"1","A","One."\n"2","B","Two."\n', "a")])
def test_columns_by_their_names(tmp_path, content, name):
  expected = [Document("1", "A", "One."), Document("2", "B", "Two.")]
  assert list(read_documents(_write(tmp_path / name, content))) == expected
  packed = _write(tmp_path / f"{name}.bz2", bz2.compress(content.encode()))
  assert list(read_documents(packed)) == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_what_csv_writes_is_read(tmp_path, delimiter, quoting):
  texts = ['Said "no", then; left.', "Two\n\nparagraphs", "a\r\nb", "tab\there | bar", '"',
           "שלום, עולם", "東京；；", "😀", ",", "'single'", "x" * 300_000]
  file = io.StringIO(newline="")
  writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
  writer.writerow(["more", "text", "title", "id"])
  writer.writerows(["x", text, text[:5], str(i)] for i, text in enumerate(texts))
  path = _write(tmp_path / "a.csv", file.getvalue())
  assert list(read_documents(path)) == [
      Document(str(i), text[:5], text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_NONNUMERIC, csv.QUOTE_ALL])
def test_quotes_that_backslashes_escape(tmp_path, delimiter, quoting):
  """As Spark, MySQL and pandas with `escapechar` write them."""
  texts = ["plain, b", 'say "hi", then', '"', 'two\nlines "and" a, b\n', 'end "q"', '"a" b',
           'C:\\dir\\ and "x"', 'last\\']
  file = io.StringIO(newline="")
  writer = csv.writer(file, delimiter=delimiter, quoting=quoting, doublequote=False,
                      escapechar="\\")
  writer.writerow(["id", "title", "text"])
  writer.writerows([str(i), "T", text] for i, text in enumerate(texts))
  path = _write(tmp_path / "a.csv", file.getvalue())
  assert [document.text for document in read_documents(path)] == texts


def test_a_backslash_before_the_quote_that_ends_a_value(tmp_path):
  content = 'id,text\n1,"C:\\dir\\"\n2,"a ""b\\"""\n3,"\\"\n4,"a\\""b"\n'
  path = _write(tmp_path / "a.csv", content)
  assert [document.text for document in read_documents(path)] == [
      "C:\\dir\\", 'a "b\\"', "\\", 'a\\"b']


@pytest.mark.parametrize("row, text", [
    ('1, "a, b"', "a, b"), ('1 ,"a" ', "a"), ('1,"a, "", b"', 'a, ", b'),
    ('1, "a\nb, ""c"", d" \r', 'a\nb, "c", d'), ('1, "a\n "" b" ', 'a\n " b'),
    ('1,"a "" "', 'a " '), ('1," a "', " a "), ("1, a", " a"), ('1,5" pipe', '5" pipe'),
    ('1,a "b" c ', 'a "b" c '), ('1, "" ""', ' "" ""')])
def test_spaces_around_quotes(tmp_path, row, text):
  path = _write(tmp_path / "a.csv", f'id,text\n{row}\n2, "x"\n')
  assert [(document.id.strip(), document.text) for document in read_documents(path)] == [
      ("1", text), ("2", "x")]


def test_a_table_between_tabs_needs_no_id(tmp_path, caplog):
  caplog.set_level("INFO")
  path = _write(tmp_path / "a.tsv", "Title\tContent\nA\tOne.\n")
  assert list(read_documents(path)) == [Document("2", "A", "One.")]
  assert f"{path}: field 'Content' is read as 'text'" in caplog.messages
  with pytest.raises(UserError, match=r"a.tsv:1: no column 'text' .found: 'A', 'One.'."):
    list(read_documents(_write(path, "A\tOne.\n")))


@pytest.mark.parametrize("content, message", [
    ("id,title,text\n1,A\n", ":2: 2 values; expected 3"),
    ("id,text\n1,One.\n\n2,a,b\n", ":4: 3 values; expected 2"),
    ('id,text\n1,"a\nb"\n2,"One\n3,Two\n', ":4: not CSV .unexpected end"),
    ('id,text\n1,"One" more\n', ":2: not CSV"),
    ("id,text\r1,a\r\r2,a,b\r", ":4: 3 values; expected 2"),
    ('id,text\r1,"a\nb"\r2,a,b\r', ":4: 3 values; expected 2"),
    ("id,body\n1,One.\n", ":1: no column 'text' .rename 'body' to 'text'., id and"),
    ("ID,Body\n1,One.\n", ":1: no column 'text' .rename 'Body' to 'text'., id and title"),
    ("Name,Ort\n", ":1: no column 'text' .found: 'Name', 'Ort'.: name the one "
     "that holds it 'text', id and title may be missing$"),
    ("id;content;Content\n1;a;b\n", ":1: column 'content' is there twice"),
    ("id,text,Text\n1,a,b\n", ":1: column 'text' is there twice"),
    ("1,One.\n2,Two.\n", ":1: no column 'text' .found: '1', 'One.'.: name the one"),
    ("id,text\n1,a\n1,b\n", ":3: field 'id': '1' is there already, in .*:2"),
    ("id,text\n,a\n", ":2: field 'id' is empty"),
    (b"id,text\n1,caf\xe9\n", ":2: not UTF-8"),
    ("", ": an empty corpus"), ("id,text\n", ": an empty corpus"),
    ("id,text\n1,\n", ": an empty corpus: the text of '1' .line 2. is blank")])
def test_what_is_wrong_is_named(tmp_path, content, message):
  with pytest.raises(UserError, match=rf"^\S*a.csv{message}") as caught:
    list(read_documents(_write(tmp_path / "a.csv", content)))
  assert "\n" not in str(caught.value)


def test_a_quote_that_nothing_ends_is_not_read_without_end(tmp_path):
  path = tmp_path / "a.csv"
  with open(path, "w") as file:
    file.write('id,text\n1,"One\n')
    for _ in range(80):
      file.write("x" * (1 << 20) + "\n")
  with pytest.raises(UserError, match="a.csv:2: not CSV .field larger than"):
    list(read_documents(path))
