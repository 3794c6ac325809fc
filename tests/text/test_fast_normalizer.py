"""The normaliser by NumPy gives what the one in the graph does, to the byte."""

import random

import numpy as np
import pytest

from realm_tf.text.fast_normalizer import normalize_with_map
from realm_tf.text.normalizer import Normalizer
from realm_tf.text.tokenizer import Tokenizer
from tests.vocabulary import small_vocabulary

_PICKS = ["", "a", "Å", "e\u0301\u0302", "\u0301", "한국", "日本", "\U0001f600", "\u200b",
          "\0", "\t", " ", ".", "½", "™", "İ", "ß", "\U000e0100", "\U000e0001", "“",
          "\U0010ffff", "\ufffd", "q" * 99, "Z" * 3, "한" * 33, "\r\n",
          "\U00031350", "\U0002fa20"]


def _texts():
  rng = random.Random(11)

  def code():
    while 0xD800 <= (number := rng.randrange(0x110000)) < 0xE000:
      pass
    return chr(number)

  yield []
  yield [""]
  yield ["", "\u0301x", "", "", "\u0301"]
  yield ["\u200b", "\0"]
  for _ in range(20):
    yield ["".join(rng.choices(_PICKS, k=rng.randrange(12))) for _ in range(rng.randrange(9))]
    yield ["".join(code() for _ in range(rng.randrange(60))) for _ in range(5)]
    yield ["".join(chr(rng.randrange(0x500)) for _ in range(rng.randrange(60)))]


@pytest.mark.parametrize("lower_case", [True, False])
def test_it_is_the_same_as_in_the_graph(lower_case):
  in_graph = Normalizer(lower_case)
  for texts in _texts():
    if not texts:
      assert normalize_with_map(texts, lower_case).texts == []
      continue
    expected = in_graph.with_map([text.encode("utf-8") for text in texts])
    found = normalize_with_map(texts, lower_case)
    assert found.texts == expected.texts.numpy().tolist(), texts
    np.testing.assert_array_equal(found.splits, expected.byte_splits, repr(texts))
    text_of = np.repeat(np.arange(len(texts)), np.diff(found.splits))  # [N]
    before = np.cumsum([0, *(len(text.encode("utf-8")) for text in texts)])[text_of]
    for name, ours in (("byte_starts", found.char_places), ("byte_ends", found.char_ends)):
      np.testing.assert_array_equal(ours[found.source] - before, getattr(expected, name),
                                    repr(texts))


def test_pieces_are_those_of_the_graph():
  tokenizer = Tokenizer(small_vocabulary())
  for texts in _texts():
    encoded = [text.encode("utf-8") for text in texts]
    ids, *places = tokenizer.tokenize_with_offsets(np.array(encoded, object).reshape([-1]))
    found = tokenizer.pieces(texts)
    np.testing.assert_array_equal(found.splits, ids.row_splits)
    np.testing.assert_array_equal(found.ids, ids.values)
    before = np.cumsum([0, *map(len, encoded)])[ids.value_rowids()]
    for ours, ragged in zip((found.starts, found.ends), places, strict=True):
      np.testing.assert_array_equal(ours - before, ragged.values)
    widths = [len(char.encode("utf-8")) for char in "".join(texts)]
    assert found.char_places.tolist() == np.cumsum([0, *widths]).tolist()
