"""Tags that nobody closed, and what stands above the line: no sentence, no number is lost."""

import json

import pytest

from realm_tf.corpus.wikitext.article import read_article


def _text(wikitext):
  return read_article(json.dumps({"title": "Here", "text": wikitext}).encode())["text"]


@pytest.mark.parametrize("wikitext, text", [
    ("A town.<ref name=x> It has 500 people.\n\n== History ==\nFounded in 1200.",
     "A town. It has 500 people.\n\nFounded in 1200."),
    ("A town.<ref>Smith 1990. It has 500.\n\nSecond.<ref>no</ref> More.<Ref group=n>So",
     "A town. Smith 1990. It has 500.\n\nSecond. More. So"),
    ("A </ref> b <small>5 kg, <i>x</i>, <b>6 </span>7", "A b 5 kg, x, 6 7"),
    ("A <p>one<p>two</br>three</div>four", "A\n\none\n\ntwo\n\nthree\n\nfour"),
    ("10<sup>6 m and 5</sub> km", "10^6 m and 5 km"),
    ("A <!-- that nobody closed. 5 km", "A that nobody closed. 5 km"),
    ("a < b and c > 5, x < i > y, 5 < p and q > 6.< ref name=x> So< br >it is",
     "a < b and c > 5, x < i > y, 5 < p and q > 6. So\n\nit is"),
    ("a < b, 5 < 6, <5>, x<y>z, &lt;ref> <nowiki><ref></nowiki>",
     "a < b, 5 < 6, <5>, x<y>z, <ref> <ref>")])
def test_nothing_is_swallowed(wikitext, text):
  assert _text(wikitext) == text


@pytest.mark.parametrize("wikitext, text", [
    ("10<sup>6.5</sup> 2<sup>2''k''</sup> 2<sup>''k''</sup> 10<sup>10<sup>100</sup></sup>",
     "10^6.5 2^(2k) 2^k 10^(10¹⁰⁰)"),
    ("e<sup>−''x''</sup> 2<sup>1/2</sup> 10{{sup|6.5}} 10{{sup|6}}",
     "e^(−x) 2^(1/2) 10^6.5 10⁶"),
    ("SO<sub>4</sub><sup>2−</sup> Na<sup>+</sup> 19<sup>th</sup> Ada<sup>a</sup>",
     "SO₄²⁻ Na⁺ 19th Adaa"),
    ("5<sup>1</sup>/<sub>2</sub> in, <sup>3</sup>⁄<sub>4</sub>, m<sup>2</sup>/s",
     "5 1/2 in, 3/4, m²/s"),
    ("A <sup>1/4</sup> mile or 5 <sup>3/4</sup>, 2<sup>1/2</sup> and <math>|x|^{1/2}</math>",
     "A 1/4 mile or 5 3/4, 2^(1/2) and |x|^(1/2)")])
def test_what_stands_above_the_line_joins_no_number(wikitext, text):
  assert _text(wikitext) == text


def test_a_bar_of_a_formula_begins_no_table():
  assert _text("<math>|x| = 5</math> holds.") == "|x| = 5 holds."
  assert _text("{{abs|5}} is 5.\n\n<nowiki>|</nowiki>6") == "|5| is 5.\n\n|6"
  assert _text("{{{!}}\n{{!}} a table\n{{!}}}\n5") == "5"
