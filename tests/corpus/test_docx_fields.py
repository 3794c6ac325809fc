"""Word's fields: results are read, code is not, and EQ shows a formula without a result."""

import io

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from realm_tf.corpus.readers.docx import read_docx


def _read(*parts):
  document = docx.Document()
  document.element.body.insert(0, parse_xml(
      f"<w:p {nsdecls('w')}>{''.join(parts)}</w:p>"))
  file = io.BytesIO()
  document.save(file)
  return read_docx(file.getvalue())[1]


def _run(text):
  return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def _mark(kind):
  return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def _code(text):
  return f'<w:r><w:instrText xml:space="preserve">{text}</w:instrText></w:r>'


def _field(code, result=None):
  shown = _mark("separate") + _run(result) if result is not None else ""
  return _mark("begin") + _code(code) + shown + _mark("end")


@pytest.mark.parametrize("code, text", [
    (r"EQ \f(1,2)", "5 1/2"), (r"eq \r(3,x+1)", "5 ³√(x+1)"), (r"EQ x\s\up5(2)", "5x²"),
    (r"EQ \f(3,5;a+b)", "5 3,5/(a+b)"), (r"EQ \f(1\,000,\r(2))", "5 1,000/√2"),
    (r"EQ \b(\f(a,b))", "5(a/b)"), (r"EQ \f((a+b)c,2)", "5((a+b)c)/2"),
    (r"EQ \i\su(1,n,3x)", "5∑_1^n 3x"), (r"EQ H\s\do5(2)O", "5H₂O"),
    (r"EQ \* jc2 \* &quot;Font:MS Mincho&quot; \o\ad(\s\up 9(とう),東)", "5東"),
    (r"EQ \f(1", "5"), ("EQ", "5"), ("PAGE", "5")])
def test_what_eq_draws(code, text):
  assert _read(_run("5"), _field(code)) == text


def test_fields_in_fields():
  question = _code(" IF ") + _field("MERGEFIELD x", "inner") + _code(" = 1 yes no ")
  assert _read(_run("a "), _mark("begin"), question, _mark("separate"), _run("yes"),
               _mark("end"), _run(" b")) == "a yes b"
  assert _read(_mark("begin"), _code(r"EQ \f(1,"), _field(r"EQ \r(2)"), _code(")"),
               _mark("end")) == "1/√2"
  assert _read(_mark("begin"), _code(r"EQ \f(1,"), _field("REF x", "7"), _code(")"),
               _mark("end")) == "1/7"


def test_a_field_that_does_not_end_takes_nothing_with_it():
  assert _read(_run("a "), _mark("begin"), _run("kept "), _field("REF x", "b")) == "a kept b"
  assert _read(_mark("end"), _mark("separate"), _run("c")) == "c"
