"""Tables in a folder: which are documents of rows, and what is read of them."""

import pytest

from realm_tf.corpus.readers import Document, in_words, is_of_folder, read_documents
from realm_tf.errors import UserError
from realm_tf.examples.table_cells import questions

_PRICES = ('Model;Price;Note\nHeron;899 euros;"red, or\nblue"\nVolt 3;3299;\n;;\n'
           '"A | B";1;x.\n')
_TEXT = ("Model | Price | Note.\nHeron | 899 euros | red, or blue.\nVolt 3 | 3299 | –.\n"
         "A / B | 1 | x.")


def _read(folder, **files):
  folder.mkdir()
  for name, content in files.items():
    (folder / name.replace("__", ".")).write_bytes(
        content if isinstance(content, bytes) else content.encode())
  return list(read_documents(folder))


@pytest.mark.parametrize("content", [
    _PRICES, _PRICES.replace("\n", "\r\n"), "\ufeff" + _PRICES,
    f"sep=;\n{_PRICES}", _PRICES.replace(";", "\t")])
def test_rows_are_lines_below_the_names_of_their_columns(tmp_path, content):
  assert _read(tmp_path / "docs", price_list__csv=content) == [
      Document("price_list.csv", "price list", _TEXT)]
  data = _TEXT.encode()
  asked = {tuple(data[slice(*place)].decode() for place in places)
           for places in questions(data)}
  assert ("899 euros", "Price", "Heron") in asked and ("Volt 3", "Model", "3299") in asked
  assert not any("–" in question[1:] for question in asked)


@pytest.mark.parametrize("name, content, problem", [
    ("a.csv", "id,text\n1,It is.\n", "each read by itself: --documents={}"),
    ("a.csv", "Question,Answer\nWho?,I\n", "{}: holds questions, see --questions"),
    ("a.csv", f"Head,Body\nx,{'long ' * 50}\n",
     "{}: no column 'text' (rename 'Body' to 'text')"),
    ("a.csv", "Name,Body\nAna,Rome\n", "{}: no column 'text' (rename 'Body' to 'text')"),
    ("a.csv", "1,Ana\n2,Bo\n", "{}: no column 'text' (found: '1', 'Ana')"),
    ("a.csv", "Name\nAna\n", "{}: no column 'text' (found: 'Name')"),
    ("a.csv", "Name,Town\n", "{}: no column 'text' (found: 'Name', 'Town')"),
    ("a.csv", ",Town\n1,Rome\n", "{}: no column 'text' (found: '', 'Town')")])
def test_other_tables_are_told_of(tmp_path, name, content, problem):
  assert len(_read(tmp_path / "docs", b__txt="Text.", **{name: content})) == 1
  path = str(tmp_path / "docs" / name)
  assert in_words(tmp_path / "docs").startswith(
      f"1 file to read; left out: 1 .csv; {problem.replace('{}', path)}")


def test_a_damaged_table_is_skipped_and_named(tmp_path, caplog):
  assert len(_read(tmp_path / "docs", b__txt="Text.", a__csv="a,b\n1,2\n3\n")) == 1
  assert "2 files to read" in in_words(tmp_path / "docs")
  assert any("not a table" in message and "a.csv" in message for message in caplog.messages)
  with pytest.raises(UserError, match=r"a\.csv: not a table .*3: 1 value; expected 2"):
    list(read_documents(tmp_path / "docs", strict=True))


def test_alone_it_is_one_document_which_is_said(tmp_path, caplog):
  path = tmp_path / "price_list.csv"
  path.write_text(_PRICES)
  assert list(read_documents(path)) == [Document("price_list.csv", "price list", _TEXT)]
  assert f"{path}: no column 'text': its rows are one document, a table" in caplog.messages
  assert is_of_folder(path)
  path.write_text("Name,Town\n")
  with pytest.raises(UserError, match="no column 'text'"):
    list(read_documents(path))


def test_packed_and_below(tmp_path):
  import gzip
  (tmp_path / "docs/more").mkdir(parents=True)
  (tmp_path / "docs/more/a.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1\t2\n"))
  assert list(read_documents(tmp_path / "docs")) == [
      Document("more/a.tsv.gz", "a", "a | b.\n1 | 2.")]
