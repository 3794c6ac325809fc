"""When two texts have the same words: the one rule of what stands where.

Where an answer stands in a corpus, for training, and whether it stands in a retrieved
passage, for evaluation, are both told by `words`. Plain Python: no TensorFlow.

- Letters, digits and their marks are a word as long as nothing comes between them.
- Every other visible character is a word by itself: punctuation, symbols, emoji,
  ideographs, and the letters of scripts that are written without spaces (Thai, kana and
  others), each with its marks: where their words end is not known, so an answer may begin
  and end at any of them. Korean has spaces: a noun with its particle is one word.
- What is not seen is not there: control and format characters, such as soft hyphens and
  zero-width spaces.
- Case, width and accents make no difference, nor does which dash or quotation mark it is.
  Marks that write a vowel or a consonant are no accents: those of Thai, Devanagari and
  their kin, and the sonant marks of kana.

So "art" is not in "party", "1939-1945" is "1939 – 1945", "café" is "Cafe", and "東京" is in
"日本の首都は東京である。".
"""

import functools
import re
import unicodedata

from realm_tf.text import characters

# Their letters are words each: the scripts of line breaking class SA, and of those that
# break lines anywhere (ID, CJ) what BERT does not take for ideographs; Unicode Annex 14.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0xAA80, 0xAADF),  # Tai
    (0x3005, 0x3007), (0x3021, 0x303C),  # signs that stand for ideographs
    (0x3040, 0x312F), (0x31A0, 0x31FF), (0x1AFF0, 0x1B16F),  # kana, Bopomofo
    (0xA000, 0xA4CF),  # Yi
    (0x11700, 0x1174F),  # Ahom
    (0x20000, 0x3FFFF))  # ideographs
_SAME = {**dict.fromkeys("‘’‚‛ʻʼ´′", "'"), **dict.fromkeys("“”„‟″", '"'), "−": "-",
         "ς": "σ"}
_SELECTORS = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0x034F, 0x034F))

# Between translation and splitting: what may have marks, and a mark.
_LETTER_END, _MARK = "\x01", "\x02"
_OTHER = re.compile(r"[^\t\n\r -~]+")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_UNSPACED_LETTER = re.compile(f"{_LETTER_END}((?:{_MARK}.)*)")
_MARKS_OF_NOTHING = re.compile(rf"(?:(?<=\s)|^)(?:{_MARK}.)+")


def words(text: str) -> list[str]:
  """The words of a text, each in the form that all of its spellings share."""
  text = _separated(text)
  if _LETTER_END in text:
    text = _UNSPACED_LETTER.sub(r"\1 ", text)
  if _MARK in text:
    text = _MARKS_OF_NOTHING.sub(lambda marks: marks[0].replace(_MARK, " ") + " ", text)
    text = text.replace(_MARK, "")
  return text.split()


def spelled(text: str) -> str:
  """The words with a space before, between and after them.

  An answer stands in a text if its spelling, unless that is a space, is part of the
  text's.
  """
  return f" {' '.join(words(text))} "


def cuts_no_word(text: str, place: int) -> bool:
  """Whether a word may end before the character at `place`, and another begin there."""
  before = text[:place].rpartition(" ")[2]
  after = text[place:].partition(" ")[0]
  return words(before) + words(after) == words(before + after)


@functools.cache
def is_plain(char: str, lower_case: bool) -> bool:
  """Whether BERT's tokenizer and this module make the same of a character."""
  _, codes = characters.replacement(ord(char), lower_case)
  return re.sub(r"\s", " ", _separated(char)) == "".join(map(chr, codes))


def _separated(text: str) -> str:
  if not (text.isascii() and text.isprintable()):
    text = _OTHER.sub(_translated, text)
  return " ".join(_PUNCTUATION.split(text)).lower()


def _translated(others: re.Match[str]) -> str:
  return unicodedata.normalize("NFD", others[0]).translate(_FORMS)


class _Forms(dict):
  """Code point, canonically decomposed -> what stands for it; made when asked for."""

  def __missing__(self, code: int) -> str:
    self[code] = form = _form(chr(code))
    return form


_FORMS = _Forms()


def _form(char: str) -> str:
  width, _, usual = unicodedata.decomposition(char).partition(" ")
  if width in ("<wide>", "<narrow>"):
    char = chr(int(usual, 16))
  category = unicodedata.category(char)
  char = "-" if category == "Pd" else _SAME.get(char, char)
  if " " <= char <= "~":
    return char
  kind, codes = characters.replacement(ord(char), True)
  if kind in (characters.DROP, characters.BLANK) or ord(char) >= characters.PLANE_14:
    return " " if kind == characters.BLANK else ""
  unspaced = characters.within(ord(char), _UNSPACED)
  if kind == characters.MARK or category == "Me" or category == "Mc" and unspaced:
    return "" if _is_accent(char) else _MARK + char
  if category[0] == "S" or category == "Cn":  # what is not assigned yet may be a symbol
    return f" {char} "
  letter = "".join(map(chr, codes))
  if kind == characters.ALONE:
    return letter
  if unspaced and (category[0] == "L" or category == "Nl"):
    return f" {letter}{_LETTER_END}"
  return letter


def _is_accent(char: str) -> bool:
  """Whether a mark only shows how a letter is read, or drawn.

  By its combining class: above and below the letter, and the points of Hebrew, Arabic and
  Syriac. Vowel signs, viramas, nuktas and kana's sonant marks have other classes.
  """
  combining = unicodedata.combining(char)
  return (10 <= combining <= 36 or combining >= 200 or unicodedata.category(char) == "Me"
          or characters.within(ord(char), _SELECTORS))
