"""What stands above the line in wikitext: charges, too, and what is in italics."""

import re

from realm_tf.corpus.small_figures import exponent, is_exponent, superscript


def of_wikitext(text: str) -> str:
  """The same of what stands in <sup> there: charges, too, and what is in italics."""
  plain = text.replace("''", "")
  if is_exponent(plain):
    return exponent(plain)
  is_variable = text.startswith("''") and re.fullmatch("[a-zA-Zα-ω]", plain)
  return f"^{plain}" if is_variable else superscript(text)
