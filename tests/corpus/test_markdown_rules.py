"""Footnotes and formulas of Markdown, as GitHub and Pandoc have them."""

import pytest

from realm_tf.corpus.readers.markdown import read_markdown


@pytest.mark.parametrize("source, text", [
    ("A town.[^1] It has 5.[^note]\n\n[^1]: Founded in 1200.\n[^note]: Then 7.\n    More 8.",
     "A town. It has 5.\n\nFounded in 1200.\n\nThen 7. More 8."),
    ("A[^1][^2].\n\n[^1]: one\n\n    Its second 7.\n\n[^2]: http://x.org\n\nEnd.",
     "A.\n\none\n\nIts second 7.\n\n\nhttp://x.org\n\nEnd."),
    ("- item[^1]\n\n  [^1]: in a list\n", "item\n\nin a list."),
    ("|a[^1]|b|\n|-|-|\n|1|2|\n\n[^1]:\n    Late 5.\n", "a | b.\n1 | 2.\n\nLate 5."),
    ("so[^9] and `x[^1]`\n\n[^1]: n", "so[^9] and x[^1]\n\nn")])
def test_footnotes(source, text):
  """Their text stays where it is, and no mark is left in a sentence."""
  assert read_markdown(source.encode()) == ("", text)


@pytest.mark.parametrize("source, text", [
    (r"It is $10^6$, $$x = 5 \times 10^3$$ and $n_1*b*2$.",
     "It is 10⁶, x = 5 × 10³ and n₁*b*2."),
    ("$$\n\\begin{pmatrix}1 & 2\\\\3 & 4\\end{pmatrix}\n$$", "(1, 2; 3, 4)"),
    (r"$\unknown{5}$ and $2*3*4$ `$10^6$` \$5", r"$\unknown{5}$ and $2*3*4$ $10^6$ $5"),
    ("It cost $5 and $6, US$5-US$6, $5 (US$), 5$ or (5$-6$), $20 or 30$ *each*.",
     "It cost $5 and $6, US$5-US$6, $5 (US$), 5$ or (5$-6$), $20 or 30$ each."),
    ("$20 [million](x) or 30$", "$20 million or 30$")])
def test_formulas_and_sums_of_money(source, text):
  assert read_markdown(source.encode()) == ("", text)
