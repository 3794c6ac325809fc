"""The tokenizer against a plain one of BERT's rules, and its offsets on hard text."""

import json
import pathlib
import random
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

import realm_tf  # noqa: F401  (chooses Keras 2 before TensorFlow loads)
from realm_tf.errors import UserError
from realm_tf.text.tokenizer import Tokenizer, read_vocabulary
from tests.vocabulary import real_vocabulary, small_vocabulary

HARD = [
    "Hello, world!", "don't U.S. $5.00 ^ ` ~ a|b", "", "   ", "  lead and trail  ",
    "Ångström café naïve", "A\u030angstro\u0308m cafe\u0301 end", "\u0301abc", "≠ a≠b",
    "a\u0301\u0302\u0323b", "東京タワー is tall", "한국어 텍스트", "\u1112\u1161\u11ab",
    "😀 emoji 👩‍👩‍👧 ❤️ end", "\U0001F1FA\U0001F1F8 flag", "a\u0000b a\u200bb so\u00adft",
    "tab\there\nnew\r\nline\u2028sep", "İstanbul IŞIK ß ẞ ﬁ", "№ ½ ² ™ …",
    "[CLS] [SEP] [MASK] [UNK] [PAD] ##ing", "\ufffd x \ufeffBOM",
    "\u3000ideo\u00a0nbsp\u2003em", "«quotes» “x” ‘y’ – —", "हिन्दी में தமிழ் ไทย",
    "العَرَبِيَّة עִבְרִית",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠀀𠀁 \U000E0100 \ue000priv", "α\u0345 Ω Å ﬀ", "が か\u3099",
    "x" * 99, "x" * 100, "x" * 101, "é" * 51, "é" * 100, "é" * 101, "я" * 60,
    "x" * 150 + " ok " + "y" * 150 + "." + "z" * 100,
    "a" * 40 + "\u0301" * 70, "中" * 130,
]


def _clean(text: str) -> str:
  characters = []
  for char in text:
    category = unicodedata.category(char)
    if char in "\t\n\r" or category.startswith("Z"):
      characters.append(" ")
    elif category not in ("Cc", "Cf", "Co", "Cs") and char != "\ufffd":
      characters.append(char)
  return "".join(characters)


def _is_ideograph(char: str) -> bool:
  name = unicodedata.name(char, "")
  return name.startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH"))


def _is_punctuation(char: str) -> bool:
  ascii_symbol = char.isascii() and char.isprintable() and not char.isalnum()
  return unicodedata.category(char).startswith("P") or (ascii_symbol and char != " ")


def plain_tokenize(text: str, vocabulary: dict[str, int]) -> list[int]:
  """BERT's tokenisation as its paper's code describes it: steps over whole texts."""
  text = "".join(f" {c} " if _is_ideograph(c) else c for c in _clean(text))
  text = unicodedata.normalize("NFD", text)
  text = "".join(c.lower() for c in text if unicodedata.category(c) != "Mn")
  text = "".join(f" {c} " if _is_punctuation(c) else c for c in text)
  ids = []
  for word in text.split():
    pieces, start = [], 0
    while start < len(word) <= 100:
      ends = range(len(word), start, -1)
      prefix = "##" if start else ""
      end = next((e for e in ends if prefix + word[start:e] in vocabulary), None)
      if end is None:
        break
      pieces.append(vocabulary[prefix + word[start:end]])
      start = end
    ids += pieces if start == len(word) else [vocabulary["[UNK]"]]
  return ids


@pytest.fixture(scope="module")
def small() -> Tokenizer:
  words = ["caf", "##e", "angstrom", "cafe", "東", "京", "##が", "か", "α", "ß", "½", "is"]
  words += ["hel", "##lo", "##ᄒ", "ᄒ", "##ᅡ", "##ᆫ"]
  return Tokenizer(small_vocabulary(words))


@pytest.fixture(scope="module")
def real() -> Tokenizer:
  return Tokenizer.from_file(real_vocabulary())


def _check_ids(tokenizer: Tokenizer, texts: list[str]) -> None:
  vocabulary = {token: i for i, token in enumerate(tokenizer.vocabulary)}
  ids = tokenizer.tokenize(texts).to_list()
  for text, text_ids in zip(texts, ids, strict=True):
    assert text_ids == plain_tokenize(text, vocabulary), repr(text)


def test_ids_follow_berts_rules_on_hard_text(small):
  _check_ids(small, HARD)


def test_real_ids_follow_berts_rules_on_hard_text(real):
  _check_ids(real, HARD)


def test_real_ids_follow_berts_rules_on_random_text(real):
  seed = 20
  rng = random.Random(seed)
  pools = ["abcdefgh .,-'", "éèÅößİ\u0301\u0308 ", "東京かなハ한글 ",
           "😀👩\u200d❤\ufe0f a",
           "".join(map(chr, range(0x20, 0x250))), "".join(map(chr, range(0x370, 0x600)))]
  texts = ["".join(rng.choices(rng.choice(pools) + rng.choice(pools),
                               k=rng.randrange(40))) for _ in range(1000)]
  _check_ids(real, texts)


def test_known_ids_of_bert_base_uncased(real):
  ids = real.tokenize(["Hello, world! Embeddings", "unaffable café"]).to_list()
  assert ids == [[7592, 1010, 2088, 999, 7861, 8270, 4667, 2015],
                 [14477, 20961, 3468, 7668]]
  assert (real.pad_id, real.unk_id, real.cls_id, real.sep_id, real.mask_id) == (
      0, 100, 101, 102, 103)


@pytest.fixture(name="reference", scope="module")
def _reference():
  """What Hugging Face's BertTokenizer made of hard text: see `make_bert_tokens.py`."""
  path = pathlib.Path(__file__).with_name("bert_tokens.json")
  return json.loads(path.read_text(encoding="utf-8"))


def test_ids_are_those_of_hugging_face(reference):
  tokenizer = Tokenizer(reference["vocabulary"])
  for case in reference["cases"]:
    assert tokenizer.tokenize([case["text"]]).to_list() == [case["ids"]], repr(case["text"])
  known_ids = [i for case in reference["cases"] for i in case["ids"] if i != tokenizer.unk_id]
  assert len(set(known_ids)) > 200


def test_real_ids_are_those_of_hugging_face(reference, real):
  for case in reference["cases"]:
    assert real.tokenize([case["text"]]).to_list() == [case["bert_base_uncased"]], (
        repr(case["text"]))


def test_offsets_cut_text_that_gives_the_same_pieces(reference):
  """The text between first and last byte of a word, tokenised alone, is that word."""
  tokenizer = Tokenizer(reference["vocabulary"])
  continuation = tokenizer.continuation
  texts = [case["text"] for case in reference["cases"]]
  surfaces_, expected = [], []
  for text, ids, starts, ends in zip(
      texts, *(row.to_list() for row in tokenizer.tokenize_with_offsets(texts))):
    firsts = [i for i, piece in enumerate(ids) if not continuation[piece]]
    for first, after in zip(firsts, firsts[1:] + [len(ids)]):
      surfaces_.append(text.encode("utf-8")[starts[first]:ends[after - 1]].decode("utf-8"))
      expected.append(ids[first:after])
  assert tokenizer.tokenize(surfaces_).to_list() == expected
  assert len(expected) > 300


def surfaces(tokenizer: Tokenizer, text: str) -> list[str]:
  _, starts, ends = tokenizer.tokenize_with_offsets([text])
  encoded = text.encode("utf-8")
  return [encoded[s:e].decode("utf-8")
          for s, e in zip(starts.to_list()[0], ends.to_list()[0], strict=True)]


@pytest.mark.parametrize("text, expected", [
    ("Hello, CAFÉ is", ["Hel", "lo", ",", "CAFÉ", "is"]),
    ("cafe\u0301 is", ["cafe\u0301", "is"]),
    ("A\u030angstro\u0308m is", ["A\u030angstro\u0308m", "is"]),
    ("\u0301is", ["is"]),
    ("東京is", ["東", "京", "is"]),
    ("한 is", ["한", "한", "한", "is"]),
    ("😀❤️ is 👩‍👩‍👧", ["😀❤️", "is", "👩‍👩‍👧"]),
    ("i\u200bs is", ["i\u200b" + "s", "is"]),
    ("\u200bis\u200b is", ["is", "is"]),
    ("½ is", ["½", "is"]),
    ("\ufeffis\n\tis", ["is", "is"]),
    ("x" * 101 + " is", ["x" * 101, "is"]),
    ("é" * 100 + ".is", ["é"] * 100 + [".", "is"]),
    ("\U0001F1FA\U0001F1F8,is", ["\U0001F1FA\U0001F1F8", ",", "is"]),
])
def test_offsets_cut_the_surface_out_of_the_original(small, text, expected):
  assert surfaces(small, text) == expected


def test_offsets_are_ordered_and_within_the_text(small):
  ids, starts, ends = small.tokenize_with_offsets(HARD)
  for text, row_ids, first, last in zip(
      HARD, ids.to_list(), starts.to_list(), ends.to_list(), strict=True):
    assert len(row_ids) == len(first) == len(last)
    assert first == sorted(first) and last == sorted(last), repr(text)
    assert all(0 <= s < e <= len(text.encode()) for s, e in zip(first, last)), repr(text)
    for s, e in zip(first, last):
      text.encode()[s:e].decode("utf-8")  # raises in the middle of a character


def test_ids_with_and_without_offsets_agree(small):
  assert (small.tokenize(HARD).to_list()
          == small.tokenize_with_offsets(HARD)[0].to_list())


def test_bytes_that_are_not_utf8_are_passed_over(small):
  ids, starts, _ = small.tokenize_with_offsets([b"is \xff\xfe is", b"\xc3", b""])
  assert ids.to_list()[0] == small.tokenize(["is is"]).to_list()[0]
  assert starts.to_list() == [[0, 6], [], []]


def test_empty_batch(small):
  assert small.tokenize(tf.constant([], tf.string)).shape[0] == 0
  assert all(part.nrows() == 0
             for part in small.tokenize_with_offsets(tf.constant([], tf.string)))


def test_cased_keeps_case_and_accents():
  tokenizer = Tokenizer(small_vocabulary(["Paris", "é"]), lower_case=False)
  ids = tokenizer.tokenize(["Paris ART é É"]).to_list()[0]
  assert [tokenizer.vocabulary[i] for i in ids] == ["Paris", "[UNK]", "é", "[UNK]"]


def test_survives_a_saved_model(small, tmp_path):
  class Module(tf.Module):
    def __init__(self):
      super().__init__()
      self.tokenizer = small

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def run(self, texts):
      ids, starts, ends = self.tokenizer.tokenize_with_offsets(texts)
      return {"ids": ids.to_tensor(), "starts": starts.to_tensor(),
              "ends": ends.to_tensor()}

  module = Module()
  tf.saved_model.save(module, str(tmp_path / "model"))
  loaded = tf.saved_model.load(str(tmp_path / "model"))
  for name, expected in module.run(tf.constant(HARD)).items():
    np.testing.assert_array_equal(loaded.run(tf.constant(HARD))[name], expected)


def test_hash_depends_on_vocabulary_and_settings():
  words = small_vocabulary()
  hashes = {Tokenizer(words).hash, Tokenizer(words, lower_case=False).hash,
            Tokenizer([*words, "more"]).hash}
  assert len(hashes) == 3
  assert Tokenizer(words).hash == Tokenizer(tuple(words)).hash


def test_continuation():
  tokenizer = Tokenizer(small_vocabulary())
  assert tokenizer.continuation.shape == (tokenizer.vocab_size,)
  assert tokenizer.continuation[tokenizer.vocabulary.index("##a")]
  assert not tokenizer.continuation[tokenizer.vocabulary.index("a")]


@pytest.mark.parametrize("content, message", [
    (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n", r"vocab.txt: .*\[MASK\] missing"),
    (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\na\n", "vocab.txt:8: token 'a'"),
    (b"[PAD]\n[UNK]\n\n[CLS]\n[SEP]\n[MASK]\n", "vocab.txt:3: empty token"),
    (b"[PAD]\n\xff\xfe\n", "not UTF-8"),
    (b"", "missing"),
])
def test_a_bad_vocabulary_is_named(tmp_path, content, message):
  path = tmp_path / "vocab.txt"
  path.write_bytes(content)
  with pytest.raises(UserError, match=message):
    read_vocabulary(path)


def test_a_missing_vocabulary_is_named(tmp_path):
  with pytest.raises(UserError, match="nowhere.txt: cannot be read"):
    Tokenizer.from_file(tmp_path / "nowhere.txt")


def test_windows_line_ends(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_bytes("\r\n".join(small_vocabulary()).encode())
  assert read_vocabulary(path) == small_vocabulary()
