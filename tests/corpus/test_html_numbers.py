"""Numbers of HTML: those above and below the line are part of no other, items keep theirs."""

import pytest

from realm_tf.corpus.readers.html import read_html
from realm_tf.corpus.readers.markdown import read_markdown


@pytest.mark.parametrize("page, text", [
    ("10<sup>6.5</sup> 2<sup>2<i>k</i></sup> 10<sup>x+1</sup> 2<sup>1/2</sup> e<sup>-x</sup>",
     "10^6.5 2^(2k) 10^(x+1) 2^(1/2) e^(-x)"),
    ("10<sup>x</sup> <i>e</i><sup><i>ax</i></sup> <i>n</i><sup><i>th</i></sup> 1<sup>e</sup>",
     "10^x e^(ax) nth 1e"),
    ("f<sup>(3)</sup> 10<sup>(2k)</sup>", "f^(3) 10^(2k)"),
    ("10<sup>10<sup>100</sup></sup> 2<sup><i>k</i></sup> x<sup><var>n</var></sup>",
     "10^(10¹⁰⁰) 2^k xⁿ"),
    ("5<sup>th</sup> so<sup>[5]</sup> Ada<sup>a,1</sup> 500<sup>a</sup> 9<sup>†</sup> "
     "so <sup>2k</sup>", "5th so[5] Adaa,1 500a 9† so 2k"),
    ("Na<sup>+</sup> Ca<sup>2+</sup> SO<sub>4</sub><sup>2−</sup>", "Na+ Ca2+ SO4²⁻"),
    ("log<sub>2</sub>8 10<sub>2</sub> H<sub>2</sub>O x<sub>i</sub> 5<sup>1</sup>/<sub>2</sub>"
     " in",
     "log₂8 10₂ H2O xi 5 1/2 in")])
def test_above_and_below_the_line(page, text):
  assert read_html(f"<p>{page}".encode())[1] == text


@pytest.mark.parametrize("page, text", [
    ("<ol start=5><li>five<li>six</ol>", "5. five.\n6. six."),
    ("<ol start=5><li><p>five</p><li> <p>six</ol>", "5. five.\n\n6. six."),
    ("<ol><li>a<li value=7>seven<li>eight</ol>", "a.\n7. seven.\n8. eight."),
    ("<ol><li>a<li>b</ol><ol type=a start=3><li>c</ol><ol start=x><li>d</ol><ul>"
     "<li value=5>e",
     "a.\nb.\n\nc.\n\nd.\n\ne."),
    ("<ol reversed start=3><li>c<li>b</ol>", "c.\nb.")])
def test_items_whose_number_the_page_says(page, text):
  assert read_html(page.encode())[1] == text


def test_a_paragraph_of_markdown_that_begins_with_a_year():
  assert read_markdown(b"1986. A great year.\n\n- a\n") == ("", "1986. A great year.\n\na.")


@pytest.mark.parametrize("head", [
    "<title>T</title>", "<meta charset=utf-8><title>T</title>",
    "<!doctype html><html><head><title>T</title><style>no</style>"])
@pytest.mark.parametrize("name", ["main", "article", "section", "details", "my-part", "p"])
def test_a_page_without_the_tags_that_may_be_left_out(head, name):
  """The parser puts elements that HTML 4 did not know into the head."""
  assert read_html(f"{head}<{name}>Has 5.</{name}>".encode()) == ("T", "Has 5.")
