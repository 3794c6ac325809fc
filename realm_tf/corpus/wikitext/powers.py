"""What stands above the line in wikitext: charges, too, and what is in italics."""

from realm_tf.corpus.small_figures import exponent, is_exponent, superscript, variables

# Before a fraction: behind a figure it is a space, since 5{{frac|1|2}} is not 51/2.
PLUS = "\u2064"


def of_wikitext(text: str, of_formula: bool = False) -> str:
  """The same of what stands in <sup> there: charges, too, and what is in italics.

  Args:
    text: what stands there.
    of_formula: a letter is no mark of a note or an ordinal number.
  """
  plain = text.replace("''", "").replace(PLUS, "")
  if is_exponent(plain):
    return exponent(plain)
  if text.startswith("''") or (of_formula and plain != "n"):
    return variables(plain) or superscript(text)
  return superscript(text)
