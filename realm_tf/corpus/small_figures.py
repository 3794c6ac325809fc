"""What stands above or below the line: 10 to the power of 6 is 10⁶, and not 106."""

import re

_SUPERSCRIPTS = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_POWER = re.compile(r"[-+−]?[0-9n]+(?:(?:[-+−–]|, ?)[0-9n]+)*")
# What small figures cannot show: 6.5, 2k, 1/2, −x, x+1; but not th, [5] and note 5.
_PART = r"(?:[\d⁰¹²³⁴-⁹.]+[a-zA-Zα-ω]{0,3}|[a-zA-Zα-ω][⁰¹²³⁴-⁹]*|\([^()\s]{1,20}\))"
_EXPONENT = re.compile(rf"[-+−]?{_PART}(?: ?[-+−*/×·⋅^] ?{_PART})*")
# Letters of which nobody makes notes or ordinal numbers: 10<sup>x</sup>, but 1<sup>e</sup>.
_VARIABLES = ("x", "y", "z")
_SOME_LETTERS = re.compile("(?!(?:th|st|nd|rd|er|re|de|me)$)[a-zA-Zα-ω]{1,2}")
_FIGURE = re.compile(r"[\d⁰¹²³⁴-⁹*/×·⋅^+−-]")
_SINGLE = re.compile(r"[\d.]+|[a-zA-Zα-ω]|\([^()]*\)")


def superscript(text: str) -> str:
  """10<sup>6</sup> is not 106."""
  shown = text.translate(_SUPERSCRIPTS)
  return shown if shown != text and not re.search(r"[a-z]", text.replace("n", "")) else text


def subscript(text: str) -> str:
  return text.translate(_SUBSCRIPTS)


def raised(text: str) -> str:
  """What stands above the line as small figures, where all of it is a number."""
  return superscript(text) if _POWER.fullmatch(text.strip()) else text


def is_exponent(text: str) -> bool:
  """Whether it needs a mark: as it is, and behind another figure, it is another number."""
  text = text.strip()
  return text in _VARIABLES or bool(_EXPONENT.fullmatch(text) and _FIGURE.search(text)
              and raised(text) == text and not re.fullmatch("[-+−]", text))


def is_single(text: str) -> bool:
  """Whether an exponent needs no brackets behind its mark."""
  return bool(_SINGLE.fullmatch(text.strip()))


def variables(text: str) -> str:
  """Letters in italics behind their base, ^k and ^(ax); "" for what is none: ''n''<sup>th."""
  return "" if not _SOME_LETTERS.fullmatch(text) else (
      f"^{text}" if is_single(text) else f"^({text})")


def exponent(text: str) -> str:
  """Behind its base: ⁶, ^6.5, ^(2k); all else as it is, as the th of 19th."""
  if not is_exponent(text):
    return raised(text)
  return f"^{text.strip()}" if is_single(text) else f"^({text.strip()})"
