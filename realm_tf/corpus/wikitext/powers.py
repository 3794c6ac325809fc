"""What stands above or below the line: 10 to the power of 6 is 10⁶, and not 106."""

import re

from realm_tf.corpus.wikitext.units import superscript

_POWER = re.compile(r"[-+−]?[0-9n]+(?:(?:[-+−–]|, ?)[0-9n]+)*")
# What small figures cannot show: 6.5, 2k, 1/2, −x, x+1; but not th, [5] and note 5.
_PART = r"(?:[\d⁰¹²³⁴-⁹.]+[a-zA-Zα-ω]{0,3}|[a-zA-Zα-ω][⁰¹²³⁴-⁹]*|\([^()\s]{1,20}\))"
_EXPONENT = re.compile(rf"[-+−]?{_PART}(?: ?[-+−*/×·⋅^] ?{_PART})*")
_FIGURE = re.compile(r"[\d⁰¹²³⁴-⁹*/×·⋅^+−-]")
_SINGLE = re.compile(r"[\d.]+|[a-zA-Zα-ω]")


def raised(text: str) -> str:
  """What stands above the line as small figures, where all of it is a number."""
  return superscript(text) if _POWER.fullmatch(text.strip()) else text


def is_exponent(text: str) -> bool:
  """Whether it needs a mark: as it is, and behind another figure, it is another number."""
  text = text.strip()
  return bool(_EXPONENT.fullmatch(text) and _FIGURE.search(text)
              and raised(text) == text and not re.fullmatch("[-+−]", text))


def is_single(text: str) -> bool:
  """Whether an exponent needs no brackets behind its mark."""
  return bool(_SINGLE.fullmatch(text.strip()))


def exponent(text: str) -> str:
  """Behind its base: ⁶, ^6.5, ^(2k); all else as it is, as the th of 19th."""
  if not is_exponent(text):
    return raised(text)
  return f"^{text.strip()}" if is_single(text) else f"^({text.strip()})"


def of_wikitext(text: str) -> str:
  """The same of what stands in <sup> there: charges, too, and what is in italics."""
  plain = text.replace("''", "")
  if is_exponent(plain):
    return exponent(plain)
  is_variable = text.startswith("''") and re.fullmatch("[a-zA-Zα-ω]", plain)
  return f"^{plain}" if is_variable else superscript(text)
