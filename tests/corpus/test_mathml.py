"""Formulas of MathML, in a line that can be read in one way only."""

import pytest

from realm_tf.corpus.readers.html import read_html


def _row(*parts):
  return f"<mrow>{''.join(f'<mi>{part}</mi>' for part in parts)}</mrow>"


_HALF = "<mfrac><mn>1</mn><mn>2</mn></mfrac>"


@pytest.mark.parametrize("formula, text", [
    (f"<mn>5</mn>{_HALF}", "5 1/2"), (f"<mi>x</mi><mo>+</mo>{_HALF}", "x+1/2"),
    (f"<mfrac>{_row('a', '+', 'b')}<mn>2</mn></mfrac>", "(a+b)/2"),
    (f"<mfrac><mn>2</mn>{_row('(', 'a', ')')}</mfrac>", "2/(a)"),
    (f"<mfrac>{_HALF}<mrow>{_HALF}</mrow></mfrac>", "(1/2)/(1/2)"),
    (f"<msup><mi>x</mi>{_row('n', '-', 'k')}</msup>", "x^(n-k)"),
    (f"<msup><mi>x</mi>{_HALF}</msup>", "x^(1/2)"),
    (f"<msup><mi>x</mi>{_row('-', '1')}</msup>", "x⁻¹"),
    ("<msup><mn>10</mn><msup><mn>10</mn><mn>6</mn></msup></msup>", "10^(10⁶)"),
    (f"<msup><mi>x</mi>{_row('2', 'k')}</msup>", "x^(2k)"),
    (f"<msup><mi>x</mi>{_row('a', 'b')}</msup><mo>+</mo><msup><mi>y</mi><mn>6.5</mn></msup>",
     "x^ab+y^6.5"),
    ("<msup><mi>x</mi><mrow><msub><mi>n</mi><mn>1</mn></msub></mrow></msup>", "x^(n₁)"),
    ("<msubsup><mi>y</mi><mi>i</mi><mn>3</mn></msubsup>", "yi³"),
    (f"<msqrt>{_row('x', '+', '1')}</msqrt><msqrt><mn>2</mn></msqrt>", "√(x+1)√2"),
    ("<mroot><mn>8</mn><mn>3</mn></mroot>", "8^1/3"),
    ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr> <mtr>"
     "<mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr></mtable>", "1, 2 ; 3, 4"),
    ("<mfenced open='['><mn>1</mn><mn>2</mn></mfenced>", "[1, 2)"),
    ("<mo>(</mo><mfrac linethickness='0pt'><mn>10</mn><mn>3</mn></mfrac><mo>)</mo>",
     "(10 choose 3)"),
    ("<munderover><mo>∑</mo><mn>1</mn><mn>10</mn></munderover><mi>i</mi>", "∑1¹⁰i"),
    ("<munder><mi>max</mi><mn>5</mn></munder>", "max_5"),
    ("<msub><mi>log</mi><mn>2</mn></msub><mn>8</mn>", "log₂8"),
    ("<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>", "x₁²")])
def test_formulas(formula, text):
  assert read_html(f"<p>Is <math>{formula}</math>.".encode()) == ("", f"Is {text}.")
