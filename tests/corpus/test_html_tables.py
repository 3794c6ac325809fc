"""Tables of HTML whose cells span rows and columns, against what a browser shows of them."""

import time

import pytest

from realm_tf.corpus.readers import html
from realm_tf.text.table_lines import tables

_FEES = ("<tr><th rowspan=2>Connection<th colspan=2>Fee<th rowspan=2>Time"
         "<tr><th>Town<th>Villages<tr><td>Water<td>14<td>19<td>6 weeks")
_READ = "Connection | Fee, Town | Fee, Villages | Time.\nWater | 14 | 19 | 6 weeks."
_LONG = "long " * 50


def _text(rows, attributes=""):
  return html.read_html(f"<p>x<table {attributes}>{rows}</table>".encode())[1][1:].strip()


@pytest.mark.parametrize("rows, text", [
    (_FEES, _READ),
    (f"<thead>{_FEES.replace('<tr><td>', '<tbody><tr><td>')}", _READ),
    (f"<thead>{_FEES.replace('th>V', 'td>V').replace('<tr><td', '</thead><tr><td')}", _READ),
    (f"<tr><th colspan=4>Fees 2025{_FEES}", f"Fees 2025\n{_READ}"),
    (_FEES.replace(">Fee", "><p>Fee</p>").replace("Town", "<br><b>m<sup>2</sup></b>"),
     _READ.replace("Town", "m²")),
    (_FEES.replace("<tr><th", "<tr hidden><th>no</tr><tr><th hidden>no<th", 1), _READ),
    ("<tr><th rowspan=3>a<th colspan=2>b<tr><th>c<th>d<tr><th colspan=2>c"
     "<tr><td>1<td>2<td>3", "a | b, c | b, d, c.\n1 | 2 | 3."),
    ("<tr><th>a<th colspan=9>m<sup>2</sup><tr><td>1<td>2<td>3", "a | m² | m².\n1 | 2 | 3."),
    ("<tr><th colspan=2>a<th>b<tr><td colspan=2>1<td>2", "a | b.\n1 | 2."),
    ("<thead><tr><th>Fee<th>Time<tr><th>crowns<th></thead><tr><td>1<td>2",
     "Fee, crowns | Time.\n1 | 2."),
    ("<tr><th>a<th>b<tr><th colspan=2>Section<tr><td>1<td>2", "a | b.\nSection\n1 | 2."),
    ("<tr><th>a<th>b<tr><td colspan=2>Section<tr><td>1<td>2", "a | b.\nSection\n1 | 2.")])
def test_a_header_is_one_row(rows, text):
  assert _text(rows) == text


@pytest.mark.parametrize("rows, text", [
    ("<tr><td rowspan=2>1<td>2<td rowspan=3>3<tr><td>4<tr><td>5<td>6",
     "1 | 2 | 3.\n1 | 4 | 3.\n5 | 6 | 3."),
    ("<tr><td>1<td rowspan=2>2<tr><td>3<tr><td>4<td>5", "1 | 2.\n3 | 2.\n4 | 5."),
    ("<tr><td>1<td rowspan=2 colspan=2>2<td>3<tr><td>4<td>5", "1 | 2 | 3.\n4 | 2 | 5."),
    ("<tr><td rowspan=2>1<td rowspan=2>2<tr><tr><td>3<td>4", "1 | 2.\n3 | 4."),
    ("<tbody><tr><td rowspan=9>1<td>2<tbody><tr><td>3<td>4", "1 | 2.\n3 | 4."),
    ("<tr><td rowspan=0>1<td>2<tr><td>3<tr><td>4", "1 | 2.\n1 | 3.\n1 | 4."),
    ("<tr><td rowspan=3>1<td>2<tr hidden><td>no<tr><td>3<tr><td>4",
     "1 | 2.\n1 | 3.\n1 | 4."),
    ("<tr><td rowspan=2><td>2<td>3<tr><td>4<td>5", "– | 2 | 3.\n– | 4 | 5.")])
def test_a_cell_over_rows_is_said_in_each(rows, text):
  assert _text(f"<tr><th>a<th>b<th>c{rows}") == f"a | b | c.\n{text}"


@pytest.mark.parametrize("number", [
    "-1", "x", "", "2.5", "9" * 5000, "1e9", "65535", "999999999", "٣", "0", " +2"])
def test_nonsense_is_read_in_no_time(number):
  rows = "".join(f"<tr><td rowspan={number!r} colspan={number!r}>{i}<td>b"
                 for i in range(50))
  header = f"<tr><th rowspan={number!r}>a<th colspan={number!r}>b"
  text = _text(f"<thead>{header}</thead>{rows}")
  assert text.startswith("a | b") and text.count("\n") == 50


@pytest.mark.parametrize("rows", [
    "<tr>" + "<td rowspan=65535>a" * 5_000 + "<tr><td>b" * 5_000,
    "<tr>" + "<td rowspan=65535>a" * 5_000 + "<tr>" * 2_000,
    ("<tr>" + "<td rowspan=99>a" * 50 + "<tr><td>b" * 50 + "</table><table>") * 200,
    "<tr>" + "<th colspan=1000>a" * 5_000 + "<tr><td>b" * 5_000,
    "<tr>" + "<td rowspan=2>a" * 20 + f"<tr><td rowspan=65535>{'<b></b>' * 400}" * 500])
def test_a_page_of_spans_takes_no_more_than_others(rows):
  start = time.process_time()
  assert len(_text(rows)) < 10 * len(rows) + 1_000_000
  assert time.process_time() - start < 30


@pytest.mark.parametrize("rows, attributes", [
    ("<tr><td rowspan=2>a<td><h2>b</h2><tr><td>c", ""),
    ("<tr><td rowspan=2>a<td><pre>b</pre><tr><td>c", ""),
    ("<tr><td rowspan=2>a<td><table><tr><td>b</table><tr><td>c", ""),
    (f"<tr><td rowspan=2>a<td>{_LONG}<tr><td>c", ""),
    (f"<tr><td rowspan=2>{_LONG}<td>a<td>b<td>b<tr><td>c<td>d<td>e", ""),
    ("<tr>text<td rowspan=2>a<td>b<tr><td>c", ""),
    ("<tr><th colspan=2>Berlin<tr><td colspan=2><img><tr><th>Size<td>8", ""),
    ("<tr><th rowspan=2>a<td>b<tr><td>c", "class='infobox vcard'"),
    ("<tr><td rowspan=2>a<td>b<tr><td>c", "role=presentation"),
    ("<tr><th>a<th>b<tr><th>c<th>d", ""),  # rows that are all called headers
    ("<tr><th>a<th colspan=1>b" * 5 + "<tr><td>c<td>d", ""), ("<tr><th colspan=2>a", ""),
    ("<tr><th>a<tr><td>b", ""), ("<tr rowspan=2><th>a<th>b<tr><td>c<td>d", "")])
def test_other_tables_stay(rows, attributes):
  bare = rows.replace("rowspan", "data-r").replace("colspan", "data-c")
  assert _text(rows, attributes) == _text(bare, attributes)
  assert _text(bare).count("b") == rows.count(">b")  # no header became one row, either


def test_what_is_read_is_one_table():
  text = _text(_FEES).encode()
  assert [len(line.cells) for line in next(tables(text))] == [4, 4]
  markdown = _text("<tr><th rowspan=1 colspan=1>a<th>b<tr><td>1<td>2")
  assert markdown == "a | b.\n1 | 2."
