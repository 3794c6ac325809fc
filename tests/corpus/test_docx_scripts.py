"""Word: what stands above and below the line, in runs and in formulas."""

import io

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from realm_tf.corpus.readers.docx import read_docx


def _read(document):
  file = io.BytesIO()
  document.save(file)
  return read_docx(file.getvalue())[1]


def _of(*parts):
  """What is read of a paragraph of runs, or of formulas."""
  document = docx.Document()
  document.element.body.insert(0, parse_xml(
      f"<w:p {nsdecls('w', 'm')}>{''.join(parts)}</w:p>"))
  return _read(document)


def _run(text, mark=""):
  side = {"^": "superscript", "_": "subscript"}.get(mark)
  form = f'<w:vertAlign w:val="{side}"/>' if side else mark
  return f'<w:r><w:rPr>{form}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


@pytest.mark.parametrize("runs, text", [
    ([("10",), ("6.5", "^"), (" 2",), ("2", "^"), ("k", "^"), (" so",)],
     "10^6.5 2^(2k) so"),
    ([("10",), ("−", "^"), ("6", "^"), (", 19",), ("th", "^"), (" so",), ("[5]", "^")],
     "10⁻⁶, 19th so[5]"),
    ([("SO",), ("4", "_"), ("2−", "^"), (" Na",), ("+", "^")], "SO₄²⁻ Na+"),
    ([("log",), ("2", "_"), ("8, 10",), ("2", "_"), (" H",), ("2", "_"), ("O",)],
     "log₂8, 10₂ H2O"),
    ([("5",), ("1", "^"), ("/",), ("2", "_"), (" in, m",), ("2", "^"), ("/s",)],
     "5 1/2 in, m²/s"),
    ([("10",), ("x", "^"), (" 1",), ("e", "^")], "10^x 1e"),
    ([("10",), ("6", '<w:position w:val="6"/>'), (" x",), ("1", '<w:position w:val="-4"/>')],
     "10⁶ x1")])
def test_runs(runs, text):
  assert _of(*(_run(*run) for run in runs)) == text


def test_runs_between_which_word_marks_spelling():
  assert _of(_run("10"), "<w:proofErr w:type='spellStart'/>", _run("2", "^"),
             "<w:bookmarkStart w:id='1' w:name='x'/>", _run("k", "^")) == "10^(2k)"


def test_a_style_that_raises():
  document = docx.Document()
  style = document.styles.add_style("Power", WD_STYLE_TYPE.CHARACTER)
  style.font.superscript = True
  paragraph = document.add_paragraph("10")
  paragraph.add_run("6", style)
  paragraph.add_run(" men")
  notes = "".join(f'<w:r><w:rPr>{style}</w:rPr><w:t>{text}</w:t></w:r>' for text, style in (
      ("or 10", ""), ("7", '<w:rStyle w:val="Power"/>')))
  part = Part(
      PackURI("/word/footnotes.xml"),
      "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml",
      f"<w:footnotes {nsdecls('w')}><w:footnote><w:p>{notes}</w:p></w:footnote></w:footnotes>"
      .encode(), document.part.package)
  document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
  assert _read(document) == "10⁶ men\n\nor 10⁷"


def _math(text):
  return f"<m:r><m:t>{text}</m:t></m:r>"


def _row(*cells):
  return f"<m:mr>{''.join(f'<m:e>{_math(cell)}</m:e>' for cell in cells)}</m:mr>"


@pytest.mark.parametrize("formula, text", [
    (f"<m:d><m:e><m:m>{_row(1, 2)}{_row(3, 4)}</m:m></m:e></m:d>", "(1, 2; 3, 4)"),
    (f"<m:d><m:e><m:f><m:fPr><m:type m:val='noBar'/></m:fPr><m:num>{_math(10)}</m:num><m:den>"
     f"{_math(3)}</m:den></m:f></m:e></m:d>", "(10 choose 3)"),
    (f"<m:sSup><m:e>{_math(10)}</m:e><m:sup><m:sSup><m:e>{_math(10)}</m:e><m:sup>{_math(6)}"
     "</m:sup></m:sSup></m:sup></m:sSup>", "10^(10⁶)"),
    (f"<m:sSup><m:e>{_math('x')}</m:e><m:sup>{_math('2k')}</m:sup></m:sSup>", "x^(2k)"),
    (f"<m:sSup><m:e>{_math('x')}</m:e><m:sup>{_math('k')}</m:sup></m:sSup>", "x^k"),
    (f"<m:eqArr><m:e>{_math('x=1')}</m:e><m:e>{_math('y=2')}</m:e></m:eqArr>", "x=1; y=2"),
    (f"<m:d><m:e>{_math(1)}</m:e><m:e>{_math(2)}</m:e></m:d>", "(1|2)"),
    (f"<m:d><m:dPr><m:sepChr m:val=','/></m:dPr><m:e>{_math(1)}</m:e><m:e>{_math(2)}</m:e>"
     "</m:d>", "(1,2)"),
    (f"<m:sSub><m:e>{_math('log')}</m:e><m:sub>{_math(2)}</m:sub></m:sSub>{_math(8)}",
     "log₂8"),
    (f"<m:limLow><m:e>{_math('max')}</m:e><m:lim>{_math(5)}</m:lim></m:limLow>", "max_5")])
def test_formulas(formula, text):
  assert _of(f"<m:oMath>{formula}</m:oMath>") == text
