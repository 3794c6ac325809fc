"""When an answer stands in a text: by cases, and against a plain search in ASCII."""

import re

import hypothesis
import pytest
from hypothesis import strategies

from realm_tf.text.words import cuts_no_word, spelled, words

# What is the same, and so stands in each other.
SAME = [
    ("1939 – 1945", "1939-1945"), ("1939—1945", "1939 ‒ 1945"), ("−5", "-5"),
    ("co\u00adoperate", "cooperate"), ("co\u200boper\u2060ate\ufeff", "cooperate"),
    ("café", "Cafe"), ("cafe\u0301", "café"), ("Ångström", "angstrom"), ("Й", "й"),
    ("rock ’n’ roll", "rock 'n' roll"), ("“Heroes”", '"heroes"'), ("ʻIolani", "'iolani"),
    ("１９４６年", "1946年"), ("ＡＢＣ", "abc"), ("ｿﾆｰ", "ソニー"), ("ﾊﾞｽ", "バス"),
    ("か\u3099", "が"), ("東京　タワー", "東京タワー"), ("a\u00a0b", "a b"),
    ("U.S.", "U. S."), ("ΟΔΟΣ", "οδός"), ("مُحَمَّد", "محمد"), ("שָׁלוֹם", "שלום"), ("❤️", "❤"),
    ("가", "\u1100\u1161"), ("\u212b", "å"), ("x\x00\x07y", "xy"), ("नि", "नि"),
]
DIFFERENT = [
    ("バス", "ハス"), ("ม้า", "มา"), ("कि", "क"), ("कु", "क"), ("10", "100"), ("C++", "C"),
    ("≠", "="), ("x²", "x2"), ("½", "1/2"), ("straße", "strasse"), ("5'", '5"'), ("?", "!"),
    ("$5", "5"), ("U.S.", "US"), ("the Beatles", "Beatles"),
]
STANDS = [
    ("日本の首都は東京である。", "東京"), ("北京是中国的首都", "中国"),
    ("ソニーは会社です", "ソニー"),
    ("กรุงเทพมหานครเป็นเมืองหลวง", "กรุงเทพมหานคร"), ("ວຽງຈັນເປັນນະຄອນຫຼວງ", "ນະຄອນ"),
    ("រាជធានីភ្នំពេញ", "ភ្នំពេញ"), ("ရန်ကုန်မြို့", "ရန်ကုန်"), ("二〇二〇年", "〇二"),
    ("東京Tokyoタワー", "Tokyo"), ("ปี๒๕๖๐", "๒๕๖๐"), ("서울 은 수도", "서울"),
    ("state-of-the-art work", "art"), ("Art.", "art"), ("party of art", "art"),
    ("£5 million", "5 million"), ("100€", "100"), ("great😀", "great"), ("I 😀 it", "😀"),
    ("20°C", "20"), ("5×3", "3"), ("in C++ code", "C++"), ("C++11", "C++"), ("90%", "%"),
    ("why?", "?"), ("costs $5", "$5"), ("10,000 people", "10,000"), ("AC/DC tour", "ac / dc"),
    ("Guns N' Roses", "guns n'"), ("rock'n roll", "'n"), ("1939 – 1945", "1939"),
]
STANDS_NOT = [
    ("a party", "art"), ("artful", "art"), ("a par\u00adty", "art"), ("par\u200dty", "art"),
    ("pärty", "art"), ("in 1990s", "1990"), ("1990", "199"), ("서울은 수도", "서울"),
    ("किताब", "क"), ("कुत्ता", "क"), ("кот", "ко"), ("๒๕๖๐", "๒๕"), ("มี", "ม"),
    ("がき", "か"), ("anything", ""), ("anything", "  "), ("anything", "\u200b\u00ad"),
    ("", ""), ("a b", "ab"), ("tokyo", "東京"), ("x!", "?"),
]


def _stands(answer: str, text: str) -> bool:
  return bool(words(answer)) and spelled(answer) in spelled(text)


@pytest.mark.parametrize("text, other", SAME)
def test_same_words(text, other):
  assert words(text) == words(other) and words(text)
  assert _stands(text, f"x {other} y") and _stands(other, f"({text})")


@pytest.mark.parametrize("text, other", DIFFERENT)
def test_other_words(text, other):
  assert words(text) != words(other)


@pytest.mark.parametrize("text, answer, stands", [
    *(case + (True,) for case in STANDS), *(case + (False,) for case in STANDS_NOT)])
def test_answers_stand_as_whole_words(text, answer, stands):
  assert _stands(answer, text) is stands


@hypothesis.given(strategies.text("aArty15 -.'$\n", max_size=30),
                  strategies.text("aArty15 -.'$\n", max_size=5))
def test_in_ascii_a_word_is_letters_and_digits_or_one_sign(text, answer):
  parts = re.findall(r"[a-z0-9]+|[^\sa-z0-9]", answer.lower())
  pattern = ""
  for before, part in zip(["", *parts], parts):
    # Two words of letters need a space between them, and none around either.
    pattern += r"\s+" if before.isalnum() and part.isalnum() else r"\s*"
    pattern += rf"(?<![a-z0-9]){part}(?![a-z0-9])" if part.isalnum() else re.escape(part)
  stands = bool(parts) and bool(re.search(pattern, text.lower()))
  assert _stands(answer, text) is stands


@hypothesis.given(strategies.text(max_size=12))
def test_words_of_words_are_themselves(text):
  assert words(" ".join(words(text))) == words(text)


@hypothesis.given(strategies.text(max_size=12))
def test_what_cuts_no_word_parts_them(text):
  for place in range(len(text) + 1):
    parted = words(text[:place]) + words(text[place:])
    assert cuts_no_word(text, place) is (parted == words(text))
