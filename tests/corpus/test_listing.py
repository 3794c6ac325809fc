"""What is said of a folder by the names of its files alone."""

import json
import pathlib

import pytest

from realm_tf.corpus.readers import ReadingReport, file_folder, in_words, read_documents
from realm_tf.errors import UserError
from tests.command import realm


def _folder(root, *names):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("text" if name.endswith(".csv") else "Some text.")
  return root


@pytest.mark.parametrize("names, words", [
    (["a.txt"], "1 file to read"),
    (["a.txt", "sub/b.md", "c.TXT.gz", ".hidden.txt", ".git/d.txt"], "3 files to read"),
    (["a.png", "b.png", "README.Debian", "Apache-2.0", "LICENSE", "x.html"],
     "1 file to read; left out: 2 without a suffix, 2 .png, 1 .Debian"),
    (["a.txt", "the stores.csv"],
     "1 file to read; left out: 1 .csv; each read by itself: "
     "--documents='{}/the stores.csv'"),
    ([f"{name}.jsonl" for name in "abcd"],
     "0 files to read; left out: 4 .jsonl; each read by itself: --documents={}/a.jsonl, "
     "--documents={}/b.jsonl, --documents={}/c.jsonl, ...")])
def test_a_folder_in_words(tmp_path, names, words):
  assert in_words(_folder(tmp_path, *names)) == words.replace("{}", str(tmp_path))


def test_as_many_as_are_read(tmp_path):
  _folder(tmp_path, "a.txt", "b.md", "c.html", "d.png", "e/f.text", ".g.txt", "Apache-2.0")
  read = len(list(read_documents(tmp_path)))
  assert in_words(tmp_path).startswith(f"{read} files to read;")
  with pytest.raises(UserError, match=r"1 other kinds of files \(no suffix\)"):
    list(read_documents(_folder(tmp_path / "other", "Apache-2.0")))


def test_tables_in_a_folder_are_named_with_what_reads_them(tmp_path, caplog):
  _folder(tmp_path / "docs", "a.txt", "b.png", "the stores.csv", "more/d.jsonl")
  with open(tmp_path / "skipped.jsonl", "w", encoding="utf-8") as file:
    assert len(list(read_documents(tmp_path / "docs", report=ReadingReport(file)))) == 1
  rows = map(json.loads, (tmp_path / "skipped.jsonl").read_text().splitlines())
  assert {row["name"]: row.get("detail") for row in rows} == {
      "b.png": None,
      "more/d.jsonl": f"read by itself: --documents={tmp_path}/docs/more/d.jsonl",
      "the stores.csv": f"read by itself: --documents='{tmp_path}/docs/the stores.csv'"}
  assert (f"{tmp_path}/docs: left out: 2 that may hold many documents each, to be read by "
          f"themselves: --documents={tmp_path}/docs/more/d.jsonl, "
          f"--documents='{tmp_path}/docs/the stores.csv'") in caplog.messages


@pytest.mark.parametrize("name, content, lacks", [
    ("a.csv", "Name;Ort\n", "no column 'text' (found: 'Name', 'Ort')"),
    ("a.tsv", "Name\tOrt\n", "no column 'text' (found: 'Name', 'Ort')"),
    ("a.jsonl", '{"Name": "Ona"}\n', "no field 'text' (found: 'Name')")])
def test_a_table_without_texts_is_not_said_to_be_read(tmp_path, caplog, name, content, lacks):
  path = tmp_path / name
  path.write_text(content)
  lacks = f"{path}: {lacks}: name the one that holds it 'text', id and title may be missing"
  with pytest.raises(UserError, match="files of many documents: ") as caught:
    list(read_documents(tmp_path))
  assert str(caught.value).endswith(f"documents: {lacks}")
  (tmp_path / "b.txt").write_text("Some text.")
  assert in_words(tmp_path) == f"1 file to read; left out: 1 {path.suffix}; {lacks}"
  (tmp_path / "c.csv").write_text("text\nOna\n")
  assert len(list(read_documents(tmp_path))) == 1
  assert (f"{tmp_path}: left out: 2 that may hold many documents each, to be read by "
          f"themselves: --documents={tmp_path}/c.csv; {lacks}") in caplog.messages


def test_what_is_no_folder_of_documents_is_not_listed(tmp_path):
  _folder(tmp_path, "a.txt", "of/wiki_00")
  assert in_words(tmp_path / "a.txt") == in_words(tmp_path / "of") == ""
  assert in_words(tmp_path, "wikiextractor") == ""


def test_a_large_folder_is_not_listed_to_its_end(tmp_path, monkeypatch):
  monkeypatch.setattr(file_folder, "_MOST_LISTED", 3)
  assert in_words(_folder(tmp_path, *(f"{i}.txt" for i in range(3)))) == "3 files to read"
  assert in_words(_folder(tmp_path, "9.txt")) == "3 or more files to read"


def test_init_says_it(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  _folder(pathlib.Path("docs"), "a.txt", "b.md", "stores.csv")
  assert realm("init", "run", "--documents=docs") == 0
  assert capsys.readouterr().out.splitlines()[0] == (
      "docs: 2 files to read; left out: 1 .csv; each read by itself: "
      "--documents=docs/stores.csv")
