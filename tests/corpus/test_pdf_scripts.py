"""PDF: what stands above and below the line, as TeX, Word and other programs write it."""

import zlib

import pytest

from realm_tf.corpus.readers.pdf import read_pdf
from realm_tf.corpus.readers.pdf_scripts import page_text
from tests.handmade_pdf import pdf


def _read(drawn):
  return read_pdf(pdf("", content=zlib.compress(drawn.encode("latin-1"))))[1]


def _width(text):
  """In Helvetica of size 1."""
  return sum({" ": .278, "t": .278, "I": .278, "l": .222, "-": .333, "/": .278, ".": .278,
              "m": .833, "k": .5, "s": .5, "H": .722}.get(char, .556) for char in text)


def _tex(*pieces):
  """Text of a size so much above the line, each behind the one before."""
  shown, right = "", 72
  for text, size, above in pieces:
    shown += f"/F1 {size} Tf 1 0 0 1 {right:.2f} {700 + above} Tm ({text}) Tj "
    right += size * _width(text)
  return _read(f"BT {shown} ET")


@pytest.mark.parametrize("pieces, text", [
    ([("It has 10", 10, 0), ("6", 7, 4), (" men", 10, 0)], "It has 10⁶ men"),
    ([("10", 10, 0), ("-", 7, 4), ("6", 7, 4), (" m", 10, 0), ("2", 7, 4)], "10⁻⁶ m²"),
    ([("2", 10, 0), ("2k", 7, 4), (" and 10", 10, 0), ("6.5", 7, 4)], "2^(2k) and 10^6.5"),
    ([("5", 10, 0), ("1", 7, 4), ("/", 10, 0), ("2", 7, -2), (" in", 10, 0)], "5 1/2 in"),
    ([("m", 10, 0), ("2", 7, 4), ("/s of 5", 10, 0)], "m²/s of 5"),
    ([("log", 10, 0), ("2", 7, -2), ("8 on H", 10, 0), ("2", 7, -2), ("O", 10, 0)],
     "log₂8 on H2O"),
    ([("19", 10, 0), ("th", 7, 4), (" day.", 10, 0), ("1", 7, 4)], "19th day.¹"),
    ([("1", 6, 4), ("1990 was", 9, 0)], "¹1990 was"),
    ([("10", 10, 0), ("10", 7, 4), ("6", 5, 7), (" and 2", 10, 0), ("-n", 7, 4), ("2", 5, 7),
      (" m", 10, 0)], "10^(10⁶) and 2^(-n²) m"),
    # Small, but on the line; and large beside small.
    ([("10", 10, 0), ("6", 7, 0)], "106"), ([("A", 10, 0), ("6", 10, 4)], "A6")])
def test_above_and_below_the_line(pieces, text):
  assert _tex(*pieces) == text


def test_a_fraction_of_figures_one_above_the_other():
  """As matplotlib and TeX draw it: pypdf takes both for one word of small figures."""
  assert _read("BT /F1 10 Tf 1 0 0 1 72 700 Tm (or 5) Tj ET BT /F1 7 Tf 1 0 0 1 91.5 704 Tm "
               "(1) Tj 1 0 0 1 91.5 697 Tm (2) Tj ET BT /F1 10 Tf 1 0 0 1 95.4 700 Tm "
               "( in) Tj ET") == "or 5 1/2 in"


def test_a_line_ends_with_an_exponent_that_has_one():
  assert _read("BT /F1 10 Tf 1 0 0 1 72 700 Tm (or 10) Tj /F1 7 Tf 1 0 0 1 95.4 704 Tm (10) "
               "Tj /F1 5 Tf 1 0 0 1 103.2 707 Tm (6) Tj /F1 10 Tf 1 0 0 1 72 688 Tm (men) "
               "Tj ET"
               ) == "or 10^(10⁶) men"


@pytest.mark.parametrize("drawn", [
    "BT 72 700 Td /F1 10 Tf (It has 10) Tj /F1 7 Tf 4 Ts (6) Tj /F1 10 Tf 0 Ts ( men) Tj ET",
    "BT 72 700 Td /F1 10 Tf (It has 10) Tj /F1 7 Tf 4 Ts (6) Tj 0 Ts /F1 10 Tf ( men) Tj ET",
    "BT /F1 10 Tf 72 700 Td (It has 10) Tj ET q BT 110.5 700 Td /F1 7 Tf 4 Ts (6) Tj ET Q "
    "BT /F1 10 Tf 114.4 700 Td ( men) Tj ET",
    "q 2 0 0 2 0 0 cm BT /F1 5 Tf 36 350 Td [(It has 10)] TJ /F1 3.5 Tf 19.2 2 Td [(6)] TJ "
    "/F1 5 Tf 2 -2 Td [( men)] TJ ET Q"])
def test_text_that_is_raised_by_an_operator_or_a_matrix(drawn):
  assert _read(drawn) == "It has 10⁶ men"


def test_on_a_page_that_is_turned():
  assert _read("BT 0 1 -1 0 300 72 Tm /F1 10 Tf (It has 10) Tj 0 1 -1 0 296 110.5 Tm "
               "/F1 7 Tf (6) Tj 0 1 -1 0 300 114.4 Tm /F1 10 Tf ( men) Tj ET"
               ) == "It has 10⁶ men"


@pytest.mark.parametrize("title", ["(anonymous)", "untitled", "Untitled Document"])
def test_a_title_that_is_none(title):
  title = title.replace("(", "\\(").replace(")", "\\)")
  assert read_pdf(pdf("x", title=title))[0] == ""


def test_where_pieces_are_not_the_text_it_stays_as_pypdf_gives_it():
  class _Page:

    def extract_text(self, visitor_operand_before, visitor_text):
      del visitor_operand_before
      visitor_text("10", [1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], None, 10.0)
      return "10 6"

  assert page_text(_Page()) == "10 6"
