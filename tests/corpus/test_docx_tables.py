"""Tables of Word: rows are lines, and what is merged is said in each row and column."""

import io
import re
import time

import docx
import pytest

from realm_tf.corpus.readers.docx import read_docx

_W = f'xmlns:w="{docx.oxml.ns.nsmap["w"]}"'


def _cell(cell):
  """Of a text, in which a slash is a break, with v, vc, v+ or 2 in brackets behind it."""
  text, properties = re.fullmatch(r"([^\[]*)(?:\[(.*)\])?", cell).groups("")
  merges = {"v": "<w:vMerge/>", "v+": '<w:vMerge w:val="restart"/>',
            "vc": '<w:vMerge w:val="continue"/>'}
  said = "".join(merges.get(word, f'<w:gridSpan w:val="{word}"/>')
                 for word in sorted(properties.split()))
  runs = "<w:br/>".join(f"<w:t>{part}</w:t>" for part in text.split("/"))
  run = f"<w:r>{runs}</w:r>" if text else ""
  return f"<w:tc><w:tcPr>{said}</w:tcPr><w:p>{run}</w:p></w:tc>"


def _table(rows):
  return "".join(f"<w:tr>{''.join(map(_cell, row.split('|')))}</w:tr>" for row in rows)


def _read(*tables):
  document = docx.Document()
  for table in tables:
    document.element.body.insert(len(document.element.body) - 1, docx.oxml.parse_xml(
        f"<w:tbl {_W}>{table}</w:tbl>"))
  document.add_paragraph("End")
  file = io.BytesIO()
  document.save(file)
  return read_docx(file.getvalue())[1].removesuffix("End")


@pytest.mark.parametrize("rows, text", [
    (["a|b", "1|2", "3|4"], "a | b.\n1 | 2.\n3 | 4."),
    (["a|b", "1/2|3"], "a | b.\n1 2 | 3."), (["a", "b"], "a\nb"),
    (["a|b", "|", "1|"], "a | b.\n1 | –."), (["|", "a|b", "|"], "a | b."),
    (["a|", "|2", "3|4"], "a\n| 2.\n3 | 4."),
    # Merged downwards.
    (["a|b", "1[v+]|2", "[v]|3", "[vc]|4", "5|6"], "a | b.\n1 | 2.\n1 | 3.\n1 | 4.\n5 | 6."),
    (["a[v+]|b", "[v]|1", "[v+]|2", "[v]|3"], "a | b.\na | 1.\n– | 2.\n– | 3."),
    (["a|b", "[v]|2", "own[v]|3"], "a | b.\n| 2.\nown | 3."),
    (["a|b", f"{'x' * 300}[v+]|2", "[v]|3"], f"a | b.\n{'x' * 300} | 2.\n| 3."),
    (["a|b|c", "1[2]|2[v+]", "3|4|[v]"], "a | b | c.\n1 | 2.\n3 | 4 | 2."),
    # Merged to the right.
    (["a|b[2]", "1|2|3"], "a | b | b.\n1 | 2 | 3."), (["a[2]|b", "1[2]|2"], "a | b.\n1 | 2."),
    (["T[3]", "a|b[2]", "1|2|3"], "T\na | b | b.\n1 | 2 | 3."),
    (["a|b[2]|c", "1|2|3|4", "5[4]"], "a | b | b | c.\n1 | 2 | 3 | 4.\n5"),
    (["a[v+]|b[2]", "[v]|c|d"], "a | b | b.\na | c | d."),
    (["a|b[999999999]", "1|2|3"], "a | b | b.\n1 | 2 | 3."),
    (["a|b[-2]", "1|2"], "a | b.\n1 | 2."), (["a|b[x]", "1|2"], "a | b.\n1 | 2.")])
def test_rows_are_lines(rows, text):
  assert _read(_table(rows)) == f"{text}\n\n"


def test_tables_are_paragraphs():
  assert _read(_table(["a|b", "1|2"]), _table(["c|d"])) == "a | b.\n1 | 2.\n\nc | d.\n\n"


def test_tables_that_hold_tables_stay():
  inner = f"<w:tbl>{_table(['1[2]|2[v+]', '3|4|[v]'])}</w:tbl><w:p/></w:tc>"
  outer = _table(["a[v+]|b[2]", "[v]|c|d"]).replace("</w:tc>", inner, 1)
  assert _read(outer) == "a 1 | 2 3 | 4 | | b.\n| c | d.\n\n"


def test_merges_of_a_bomb_take_no_memory():
  start = time.process_time()
  rows = ["a|b", f"{'x/' * 60}[v+]|2", *["[v]|3"] * 3_000]
  assert len(_read(_table(rows))) < 200_000  # not each of them is said
  assert time.process_time() - start < 60
