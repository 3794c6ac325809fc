"""Formulas of several rows, binomials and what is stacked: in a line, with all figures."""

import pytest

from realm_tf.corpus.wikitext.formula import read_formula


@pytest.mark.parametrize("tex, text", [
    (r"\binom{10}{3} = 120", "(10 choose 3) = 120"), (r"\tbinom n k", "(n choose k)"),
    (r"{n \choose 2} + {1 \over 2}", "(n choose 2) + 1/2"), (r"5{1 \over 2}", "5 1/2"),
    (r"\frac{\binom{5}{2}}{3}", "((5 choose 2))/3"),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1, 2; 3, 4)"),
    (r"A = \begin{bmatrix}\frac{1}{2}&b\end{bmatrix}", "A = [1/2, b]"),
    (r"\left(\begin{array}{c|c} 1 & 2 \\ \hline 3 & 4\end{array}\right)", "(1, 2; 3, 4)"),
    (r"\begin{vmatrix} 1 & \begin{pmatrix}2\\3\end{pmatrix} \end{vmatrix}", "|1, (2; 3)|"),
    (r"f = \begin{cases} 1, & x > 0 \\ 0, & \text{if } x \le 0 \end{cases}",
     "f = {1, x > 0; 0, if x ≤ 0"),
    (r"\begin{align*} x &= 5 \\[5pt] y &= 6 \nonumber \end{align*}", "x = 5; y = 6"),
    (r"x = 1 \\ y = 2", "x = 1; y = 2"),
    (r"\underbrace{a+b}_{2}", "a+b₂"), (r"\boxed{5}", "5"), (r"\Bigl(5\Bigr)", "(5)"),
    (r"\overset{+3}{C}", "C⁺³"), (r"\underset{i}{x}", "x_i"),
    (r"a \equiv 5 \pmod{12}", "a ≡ 5 (mod 12)"), (r"x \not= 5 \not\in A", "x ≠ 5 ∉ A"),
    (r"10^{6.5} + 2^{1/2}", "10^(6.5) + 2^(1/2)")])
def test_in_a_line(tex, text):
  assert read_formula(tex) == text


@pytest.mark.parametrize("tex, text", [
    (r"10^{10^{6}} + 2^{n^2} + 2^{-n^{2}}", "10^(10⁶) + 2^(n²) + 2^(-n²)"),
    (r"x^{2k} y^{12K} z^{k2}", "x^(2k) y^(12K) z^(k2)"),
    (r"x^{na} y^{n_i}", "x^(na) y^(n_i)"),
    (r"x^k y^{ab} z^\infty w^{n-1} v^2k", "x^k y^ab z^∞ wⁿ⁻¹ v²k"),
    (r"x^\frac{1}{2} y^\tfrac12 z_\binom{5}{2}", "x^(1/2) y^(1/2) z_((5 choose 2))"),
    (r"\overset{k}{\sqrt{4}} + \underset{k}{\sqrt{x^{2}}}", "√4^k + √x²_k"),
    (r"x_{12k} + x_{ij} + x_{2.5} + x_i", "x_(12k) + x_ij + x₂.₅ + x_i")])
def test_an_exponent_of_several_things_stays_whole(tex, text):
  assert read_formula(tex) == text


@pytest.mark.parametrize("tex", [
    r"\begin{matrix} 5", r"\begin{picture}1\end{circle}", r"\binom{5", r"\not 5"])
def test_what_is_no_formula_is_none(tex):
  assert read_formula(tex) is None
