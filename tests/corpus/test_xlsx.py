"""Workbooks that openpyxl writes, against what a spreadsheet shows of them."""

import datetime
import io
import zipfile

import openpyxl
import pytest

from realm_tf.corpus.readers import Document, read_documents
from realm_tf.corpus.readers.shown_values import shown
from realm_tf.corpus.readers.unreadable import Unreadable
from realm_tf.corpus.readers.xlsx import read_xlsx


def _book(*sheets, title=""):
  book = openpyxl.Workbook()
  book.remove(book.active)
  book.properties.title = title
  for name, rows in sheets:
    sheet = book.create_sheet(name)
    for row in rows:
      sheet.append(row)
  return book


def _bytes(book):
  file = io.BytesIO()
  book.save(file)
  return file.getvalue()


def test_rows_below_the_names_of_their_columns(tmp_path):
  book = _book(("Staff", [
      ["Staff  2025"], [], ["Name", "Room", "Since", "Share"],
      ["Ana", 214, datetime.datetime(2020, 3, 1), .19], ["Bo", None, None, "a | b"],
      ["Note: by phone"]]), title="All  of us")
  book["Staff"]["D4"].number_format = "0%"
  (tmp_path / "a.xlsx").write_bytes(_bytes(book))
  assert list(read_documents(tmp_path)) == [Document("a.xlsx", "All of us", (
      "Staff 2025\n\nName | Room | Since | Share.\nAna | 214 | 2020-03-01 | 19%.\n"
      "Bo | – | – | a / b.\n\nNote: by phone."))]


def test_sheets_have_their_names_and_hidden_ones_are_out():
  book = _book(("One", [["a", "b"], [1, 2]]), ("No", [["x"]]), ("Empty", []),
               ("Two", [["It is."]]))
  book["No"].sheet_state = "hidden"
  assert read_xlsx(_bytes(book)) == ("", "One\n\na | b.\n1 | 2.\n\nTwo\n\nIt is.")


def test_merged_cells_and_tables_beside_each_other():
  book = _book(("S", [
      ["Team", "Name", None, "Day", "Open"], ["Water", "Ana", None, "Mon", "9"],
      [None, "Bo", None, "Tue", "8"], [None, "Cy"]]))
  book["S"].merge_cells("A2:A4")
  assert read_xlsx(_bytes(book))[1] == (
      "Team | Name.\nWater | Ana.\nWater | Bo.\nWater | Cy.\n\n"
      "Day | Open.\nMon | 9.\nTue | 8.")


def test_a_form_is_one_table_and_a_cell_far_below_takes_no_time():
  book = _book(("S", [["Name", None, "Ana"], ["Room", None, 3]]))
  book["S"]["B1048576"] = "end"
  assert read_xlsx(_bytes(book))[1] == "Name | Ana.\nRoom | 3.\n\nend"


@pytest.mark.parametrize("value, number_format, text", [
    (1234.5, "General", "1234.5"), (0.1 + 0.2, "General", "0.3"), (3.0, "0", "3"),
    (0.125, "0.0%", "12.5%"), (-5.2, "#,##0.00;[Red]-#,##0.00", "-5.20"),
    (12, "[$€-407] #,##0", "€ 12"), (2, '_-* #,##0.00\\ "€"_-', "2.00 €"),
    (5, '"No. "0', "No. 5"), (10**6, "#,##0", "1,000,000"), (1 / 4, "# ?/?", "0.25"),
    (7, "@", "7"), (1.5, '0.0" kg"', "1.5 kg"), (True, "General", "TRUE"),
    (datetime.time(8, 30), "hh:mm", "08:30"), ("#DIV/0!", "General", ""),
    (datetime.datetime(2021, 3, 1, 8, 30), "", "2021-03-01 08:30"),
    (datetime.timedelta(hours=30), "[h]:mm", "30:00"),
    ("#1 hit", "", "#1 hit"), (None, "0", ""), (1e20, "0.00E+00", "1e+20")])
def test_values_as_they_are_shown(value, number_format, text):
  assert shown(value, number_format) == text


def _zip(**members):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return file.getvalue()


@pytest.mark.parametrize("data, reason", [
    (b"\xd0\xcf\x11\xe0 old", "encrypted"), (b"text", "damaged"), (_zip(a="b"), "damaged"),
    (_bytes(_book(("A", [["x"]])))[:-40], "damaged"), (_zip(a=bytes(300 << 20)), "larger")])
def test_what_is_none_is_refused(data, reason):
  with pytest.raises(Unreadable) as caught:
    read_xlsx(data)
  assert caught.value.reason.startswith(reason)
