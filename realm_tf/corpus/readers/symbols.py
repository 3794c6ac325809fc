"""Characters of the fonts that have their own codes: Symbol, and the signs of Wingdings.

Source: the tables of Adobe's Symbol encoding, and of Wingdings' signs that Unicode has.
"""

_PRIVATE = 0xF000  # where Word puts these codes in Unicode's private area
_SYMBOL = dict(enumerate(
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾"
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼", 0x20)) | dict(enumerate(
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…|—↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑", 0xA0)) | {
            0xF1: "⟩", 0xF2: "∫"}
_SIGNS = {0x6C: "●", 0x6E: "■", 0x6F: "□", 0x9F: "•", 0xA7: "▪", 0xA8: "◻", 0xD8: "➢",
          0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗",
          0xFC: "✓", 0xFD: "☒", 0xFE: "☑"}
_FONTS = {"symbol": _SYMBOL, "wingdings": _SIGNS}


def symbol(font: str, code: int) -> str:
  """The character of a code in a font; empty where it is a picture that has no name."""
  known = _FONTS.get(font.strip().casefold())
  if known is not None:
    return known.get(code - _PRIVATE if code >= _PRIVATE else code, "")
  return chr(code) if 0x20 <= code < 0xD800 else ""


def without_codes(text: str, font: str) -> str:
  """Text whose characters of the private area are those of such a font."""
  if not any(_PRIVATE <= ord(char) <= _PRIVATE + 0xFF for char in text):
    return text
  return "".join(symbol(font, ord(char)) if _PRIVATE <= ord(char) <= _PRIVATE + 0xFF and
                 font.strip().casefold() in _FONTS else char for char in text)
