"""PDF and .docx: text and titles, and files that nobody should open unguarded."""

import io
import re
import zipfile
import zlib

import docx
import pypdf
import pytest

from realm_tf.corpus.readers import Document, ReadingReport, read_documents
from realm_tf.corpus.readers.docx import read_docx
from realm_tf.corpus.readers.pdf import read_pdf
from realm_tf.corpus.readers.unreadable import Unreadable
from tests.handmade_pdf import pdf


def _encrypted(password):
  writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Secret.")))
  writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
  file = io.BytesIO()
  writer.write(file)
  return file.getvalue()


def _docx(make, title=""):
  document = docx.Document()
  document.core_properties.title = title
  make(document)
  file = io.BytesIO()
  document.save(file)
  return file.getvalue()


def test_pdf():
  assert read_pdf(pdf("One line\nand the next.", "Page two.", title="A  Title")) == (
      "A Title", "One line and the next.\n\nPage two.")
  assert read_pdf(pdf("It is un-\nbroken, A-\nB. In 1990\\226\n92 - or -\nCOVID-\n19 is no-",
                      "where, A-", "B.")) == (
      "", "It is unbroken, A-B. In 1990–92 - or - COVID-19 is nowhere, A-\n\nB.")
  assert read_pdf(pdf("A long-term plan of long-\nterm state-of-the-\nart well-edu-\ncated no"
                      "-\nwhere. Re-\nform", "as reform, re-form. A long-", "term.")) == (
      "", "A long-term plan of long-term state-of-the-art well-educated nowhere. Reform\n\n"
      "as reform, re-form. A long-term.")
  assert read_pdf(pdf("x", title="Microsoft Word - plan.docx"))[0] == "plan"
  assert read_pdf(pdf("Caf\\351", title="\\376\\377\\000\\351"))[0] == "é"
  ligatures = pdf("\\336nal, \\337ow.", title="\\376\\377\\373\\003").replace(
      b"/Encoding /WinAnsi", b"/Encoding/MacRoman")
  assert read_pdf(ligatures) == ("ffi", "final, flow.")
  assert read_pdf(b"\n\n" + pdf("Late."))[1] == "Late."
  assert read_pdf(pdf(""))[1] == ""  # a scan: skipped as blank


def test_pdf_without_what_its_pages_repeat():
  """Heads of left and right pages, numbers at the foot; what is said once stays."""
  heads = ("The Atlas of Towns", "Towns in the North")
  pages = [f"{heads[i % 2]} {i + 7}\nBody {i} goes on.\n- {i + 7} -" for i in range(6)]
  assert read_pdf(pdf(*pages))[1].split("\n\n") == [f"Body {i} goes on." for i in range(6)]
  for kept in (pages[:2], ["Chapter 1\nA.", "Chapter 2\nB.", "Chapter 3\nC."],
               ["Same."] * 4, ["One\nA.", "Two\nB.", "1990\nC.", "D\n1991"]):
    assert read_pdf(pdf(*kept))[1].split("\n\n") == [
        page.replace("\n", " ") for page in kept]


def test_pdf_that_its_owner_locked_is_read_and_others_are_not():
  assert read_pdf(_encrypted(""))[1] == "Secret."
  with pytest.raises(Unreadable, match="encrypted"):
    read_pdf(_encrypted("user"))


def _word(document):
  document.add_heading("Head", 1)
  document.add_paragraph("One ").add_run("bold").bold = True
  document.add_paragraph("Item", style="List Bullet")
  table = document.add_table(2, 2)
  for cell, text in zip((*table.rows[0].cells, *table.rows[1].cells), "abcd"):
    cell.text = text
  document.add_paragraph("שלום 東京 😀\tx\ny")


def test_docx():
  text = "One bold\n\nItem.\n\na | b.\nc | d.\n\nשלום 東京 😀\tx\ny"
  assert read_docx(_docx(_word)) == ("Head", text)
  assert read_docx(_docx(_word, title=" My\ntitle ")) == ("My title", f"Head\n\n{text}")
  assert read_docx(_docx(lambda document: None)) == ("", "")


def _replaced(data, pattern, by):
  """A .docx in whose parts something stands for a pattern."""
  file = io.BytesIO()
  with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
    for name in old.namelist():
      new.writestr(name, re.sub(pattern, by, old.read(name)))
  return file.getvalue()


def _of(xml):
  """What is read of a body."""
  data, mark = _docx(lambda document: document.add_paragraph("MARK")), b"<w:t>MARK</w:t>"
  xml = re.sub(r"{(.*?)}", r'<w:r><w:t xml:space="preserve">\1</w:t></w:r>', xml)
  return read_docx(_replaced(
      data, b"<w:p><w:r>" + mark + b"</w:r></w:p>", xml.encode()))[1]


def test_docx_with_changes_and_controls():
  """What was inserted is text, what was deleted or moved away is not."""
  assert _of("<w:p>{Kept}<w:ins>{ new}</w:ins><w:del><w:r><w:delText> old</w:delText></w:r>"
             "{ old}</w:del><w:moveFrom>{ moved}</w:moveFrom><w:sdt><w:sdtContent>{ control}"
             "</w:sdtContent></w:sdt></w:p>") == "Kept new control"
  assert _of("<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr>{One, }</w:p><w:p>{two.}</w:p>"
             "<w:p>{Three.}</w:p>") == "One, two.\n\nThree."


def test_docx_of_the_strict_edition():
  strict = _replaced(_docx(_word, title="T"),
                     rb"http://schemas.openxmlformats.org/(wordprocessingml|officeDocument)"
                     rb"/2006/(\w+)", rb"http://purl.oclc.org/ooxml/\1/\2")
  assert read_docx(strict) == read_docx(_docx(_word, title="T"))


def test_docx_with_symbols():
  sign = '<w:r><w:sym w:font="{}" w:char="{}"/></w:r>'.format
  assert _of(f"<w:p>{sign('Symbol', 'F061')}{{ }}{sign('Symbol', 'B3')}{{ 2 }}"
             f"{sign('Wingdings', 'F0FC')}{sign('Wingdings', 'F021')}{sign('Arial', '2192')}"
             f"{sign('Symbol', 'no')}{sign('Symbol', 'F0FF')}</w:p>") == "α ≥ 2 ✓→"
  assert _of('<w:p><w:r><w:rPr><w:rFonts w:ascii="Symbol"/></w:rPr><w:t>\uf06d = \uf0a5</w:t>'
             "</w:r>{ \uf06d}</w:p>") == "μ = ∞ \uf06d"


def test_docx_with_boxes_and_tables_in_cells():
  cell = "<w:tc><w:p>{{{}}}</w:p>{}</w:tc>".format
  assert _of("<w:p>{Before}<w:r><w:pict><w:txbxContent><w:p>{boxed}</w:p></w:txbxContent>"
             "</w:pict></w:r>{after}<w:r><w:ptab/></w:r>{tab}</w:p>"
             ) == "Before\n\nboxed\n\nafter\ttab"
  inner = f"<w:tbl><w:tr>{cell('b', '')}{cell('c', '')}</w:tr></w:tbl><w:p/>"
  assert _of(f"<w:tbl><w:tr>{cell('a', inner)}{cell('d', '')}</w:tr></w:tbl>"
             ) == "a b | c | d."
  assert _of("<w:p><w:r><w:ruby><w:rt>{no}</w:rt><w:rubyBase>{東}</w:rubyBase></w:ruby></w:r>"
             "{京}</w:p>") == "東京"


def test_docx_with_powers():
  def add_powers(document):
    paragraph = document.add_paragraph("10")
    paragraph.add_run("6").font.superscript = True
    paragraph.add_run(" people, the 2")
    paragraph.add_run("nd").font.superscript = True

  assert read_docx(_docx(add_powers)) == ("", "10⁶ people, the 2nd")


def test_docx_with_formulas():
  def add_formulas(document):
    names = " ".join(f'xmlns:{name}="{docx.oxml.ns.nsmap[name]}"' for name in "wm")
    run = "<m:r><m:t>{}</m:t></m:r>".format
    document.element.body.insert(0, docx.oxml.parse_xml(
        f"<w:p {names}><w:r><w:t>It is </w:t></w:r><m:oMath><m:sSup><m:e>{run(10)}</m:e>"
        f"<m:sup>{run('-')}{run(6)}</m:sup></m:sSup>{run(' or ')}<m:f><m:num>{run(1)}</m:num>"
        f"<m:den>{run(2)}</m:den></m:f>{run(' of x')}<m:sSup><m:sup>{run('a+b')}</m:sup>"
        f"</m:sSup>{run(' is ')}<m:rad><m:deg>{run(3)}</m:deg><m:e>{run(8)}</m:e></m:rad>"
        f"<m:d><m:e>{run('a+b')}</m:e></m:d><m:d><m:dPr><m:begChr m:val='['/><m:endChr "
        f"m:val=''/></m:dPr><m:e>{run('c')}</m:e></m:d><m:nary><m:naryPr><m:chr m:val='∑'/>"
        f"</m:naryPr><m:e>{run('k')}</m:e></m:nary></m:oMath></w:p>"))

  assert read_docx(_docx(add_formulas)) == (
      "", "It is 10⁻⁶ or 1/2 of x^(a+b) is ³√8(a+b)[c∑k")


def test_docx_with_fractions():
  """A part that is several things stands in brackets, and 3 1/2 is not 31/2."""
  def fraction(top, below):
    return f"<m:f><m:num>{top}</m:num><m:den>{below}</m:den></m:f>"

  names, run = f"xmlns:m='{docx.oxml.ns.nsmap['m']}'", "<m:r><m:t>{}</m:t></m:r>".format
  half = fraction(run(1), run(2))
  assert _of(f"<w:p><m:oMath {names}>{run(3)}{half}{run(' k')}{fraction(run('a+b'), run(2))}"
             f"<m:sSup><m:e>{run('x')}</m:e><m:sup>{half}</m:sup></m:sSup>"
             f"{fraction(run('(a+b)'), half)}<m:rad><m:deg/><m:e>{run('b+c')}</m:e></m:rad>"
             "</m:oMath></w:p>") == "3 1/2 k(a+b)/2x^(1/2)(a+b)/(1/2)√(b+c)"


def test_docx_without_its_table_of_contents_and_deleted_rows():
  row = "<w:tr>{}<w:tc><w:p>{{{}}}</w:p></w:tc></w:tr>".format
  line = '<w:p><w:pPr><w:pStyle w:val="{}"/></w:pPr>{{{}}}</w:p>'.format
  assert _of('<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/>'
             "</w:docPartObj></w:sdtPr><w:sdtContent><w:p>{no 1}</w:p></w:sdtContent></w:sdt>"
             f"{line('TOCHeading', 'no')}{line('TOC2', 'no 3')}{line('TOCless', 'Body')}"
             f"<w:tbl>{row('<w:trPr><w:del/></w:trPr>', 'no')}{row('', 'kept')}</w:tbl>"
             "<w:p>{So\u00adft}</w:p>") == "Body\n\nkept\n\nSoft"


def test_docx_with_hidden_text():
  def add_hidden(document):
    paragraph = document.add_paragraph("Seen")
    for hidden in (True, False, None):
      paragraph.add_run(f" {hidden}").font.hidden = hidden

  assert read_docx(_docx(add_hidden)) == ("", "Seen False None")


def test_docx_with_notes():
  """Notes stand behind the text; the lines above them, which Word draws, are none."""
  kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}s"
  types = "application/vnd.openxmlformats-officedocument.wordprocessingml.{}s+xml"
  wordml = docx.oxml.ns.nsmap["w"]

  def add_notes(document):
    document.add_paragraph("Text.")
    for name in ("endnote", "footnote"):
      notes = "".join(
          f'<w:{name} w:id="{i}"{more}><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:{name}>'
          for i, (more, text) in enumerate([(' w:type="separator"', "no"),
                                            ("", f"First {name}."), ("", "Second.")]))
      part = docx.opc.part.Part(
          docx.opc.packuri.PackURI(f"/word/{name}s.xml"), types.format(name),
          f'<w:{name}s xmlns:w="{wordml}">{notes}</w:{name}s>'.encode(),
          document.part.package)
      document.part.relate_to(part, kind.format(name))
  assert read_docx(_docx(add_notes)) == (
      "", "Text.\n\nFirst footnote.\n\nSecond.\n\nFirst endnote.\n\nSecond.")


def _bomb():
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("word/document.xml", bytes(1 << 20) * 300)
  return file.getvalue()


def _xml_bomb():
  lines = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
  xml = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{lines}]><x>&a11;</x>'
  file = io.BytesIO()
  data = _docx(_word)
  with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
    for name in old.namelist():
      new.writestr(name, xml if name == "word/document.xml" else old.read(name))
  return file.getvalue()


def test_in_a_folder_the_good_are_read_and_the_bad_are_named(tmp_path):
  zipped = zlib.compress(bytes(1 << 20) * 400)
  files = {
      "a.pdf": pdf("Ay."), "b.docx": _docx(_word), "c.PDF": pdf("Cee.", title="C"),
      "cut.pdf": pdf("Cut." * 50)[:60], "no.pdf": b"no", "locked.pdf": _encrypted("x"),
      "scan.pdf": pdf(""), "empty.pdf": b"", "bomb.pdf": pdf("x", content=zipped),
      "cut.docx": _docx(_word)[:2000], "no.docx": b"no", "bomb.docx": _bomb(),
      "xml.docx": _xml_bomb(), "old.docx": b"\xd0\xcf\x11\xe0" + bytes(600)}
  for name, data in files.items():
    (tmp_path / name).write_bytes(data)
  report = ReadingReport()
  documents = list(read_documents(tmp_path, report=report))
  assert documents[0] == Document("a.pdf", "a", "Ay.")
  assert [(document.id, document.title) for document in documents[1:]] == [
      ("b.docx", "Head"), ("c.PDF", "C")]
  assert sum(report.summary(3)["skipped"].values()) == 11
  assert report.named("encrypted") == "'locked.pdf', 'old.docx'"
  assert report.named("larger than 256 MiB unpacked") == "'bomb.docx'"
  assert report.named("text is empty or blank") == "'scan.pdf'"
