import random
import unicodedata

import numpy as np
import pytest

import realm_tf  # noqa: F401
from realm_tf.corpus.blocks import NUM_SPECIAL_TOKENS, split_blocks
from realm_tf.corpus.readers import Document
from realm_tf.errors import UserError
from realm_tf.text.salient_spans import RuleTagger
from realm_tf.text.sentences import split_sentences
from realm_tf.text.tokenizer import Tokenizer
from tests.vocabulary import small_vocabulary

WORDS = ("the cat sat on a mat in Paris . London . é 😀 zebra cafe\u0301 東京 1920 , ( )"
         ).split()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
  return Tokenizer(small_vocabulary())


@pytest.fixture(scope="module")
def documents() -> list[Document]:
  rng = random.Random(7)
  return [Document(str(i), " ".join(rng.choices(WORDS, k=rng.randrange(6))),
                   "A. " + " ".join(rng.choices(WORDS, k=rng.randrange(200))))
          for i in range(60)]


@pytest.fixture(scope="module", params=[8, 16, 64])
def made(request, tokenizer, documents):
  return request.param, list(
      split_blocks(documents, tokenizer, request.param, RuleTagger()))


def _of(blocks, document):
  return [block for block in blocks if block.document_id == document.id]


def test_a_block_fits_with_title_and_special_tokens(made):
  limit, blocks = made
  sizes = [len(b.title_ids) + len(b.body_ids) + NUM_SPECIAL_TOKENS for b in blocks]
  assert max(sizes) <= limit
  assert min(len(b.body_ids) for b in blocks) > 0


def test_blocks_hold_all_tokens_of_their_document_in_order(made, tokenizer, documents):
  _, blocks = made
  assert [b.document_id for b in blocks] == sorted(
      (b.document_id for b in blocks), key=int)
  for document in documents:
    whole = tokenizer.tokenize([document.text]).to_list()[0]
    assert np.concatenate([b.body_ids for b in _of(blocks, document)]).tolist() == whole


def test_text_is_a_substring_and_offsets_cut_its_tokens(made, tokenizer, documents):
  _, blocks = made
  for document in documents:
    at = 0
    for block in _of(blocks, document):
      at = document.text.index(block.text, at) + len(block.text)
      encoded = block.text.encode()
      assert block.body_starts[0] == 0 and block.body_ends[-1] == len(encoded)
      for i, start, end in zip(block.body_ids, block.body_starts, block.body_ends):
        piece = tokenizer.vocabulary[i].removeprefix("##")
        surface = unicodedata.normalize("NFD", encoded[start:end].decode().lower())
        assert piece in ("[UNK]", surface.replace("\u0301", "")), (piece, surface)


def test_blocks_end_at_sentence_ends_and_are_full(tokenizer, documents):
  limit = 96
  for document in documents:
    sentences = [document.text[s:e] for s, e in split_sentences(document.text)]
    lengths = [len(ids) for ids in tokenizer.tokenize(sentences).to_list()]
    blocks = list(split_blocks([document], tokenizer, limit))
    room = limit - NUM_SPECIAL_TOKENS - len(blocks[0].title_ids)
    if max(lengths) > room:
      continue
    expected, size = [[]], 0
    for length in lengths:
      if size + length > room:
        expected.append([])
        size = 0
      expected[-1].append(size)
      size += length
    assert [b.sentence_starts.tolist() for b in blocks] == expected


def test_a_long_sentence_is_cut_between_words(tokenizer):
  text = "the zebra " * 20
  blocks = list(split_blocks([Document("1", "", text)], tokenizer, 16))
  assert len(blocks) > 1
  for block in blocks:
    assert 8 <= len(block.body_ids) <= 13
    assert not tokenizer.continuation[block.body_ids[0]]
    assert block.text.split()[0] in ("the", "zebra")


def test_a_word_longer_than_a_block_is_cut_inside(tokenizer):
  blocks = list(split_blocks([Document("1", "", "z" * 30)], tokenizer, 13))
  assert [b.text for b in blocks] == ["z" * 10] * 3


def test_a_long_title_leaves_room_for_the_body(tokenizer):
  block, *_ = split_blocks([Document("1", "cat " * 99, "the mat.")], tokenizer, 21)
  assert len(block.title_ids) == 9
  assert block.title == "cat " * 99


def test_salient_spans_are_whole_words_within_a_sentence(made, tokenizer):
  _, blocks = made
  count = 0
  for block in blocks:
    bounds = [*block.sentence_starts, len(block.body_ids)]
    at = 0
    for start, end in zip(block.span_starts, block.span_ends, strict=True):
      assert at <= start < end <= len(block.body_ids)
      assert not tokenizer.continuation[block.body_ids[start]]
      assert end == len(block.body_ids) or not tokenizer.continuation[block.body_ids[end]]
      assert not any(start < bound < end for bound in bounds)
      at = end
      count += 1
  assert count > 100


def test_span_surfaces(tokenizer):
  text = "é😀 It rains in Paris. Later, London saw 12 May 1920. É in Zürich."
  block, = split_blocks([Document("1", "", text)], tokenizer, 99, RuleTagger())
  encoded = block.text.encode()
  surfaces = [encoded[block.body_starts[s]:block.body_ends[e - 1]].decode()
              for s, e in zip(block.span_starts, block.span_ends)]
  assert surfaces == ["Paris", "London", "12 May 1920", "Zürich"]


def test_spans_that_fit_no_word_are_dropped(tokenizer):
  def tagger(texts, _):
    return [[(1, 3), (4, 6), (8, 14), (15, 16)] for _ in texts]

  text = "zebra cat. Dog sat on"  # "eb", "a ", "t. Dog": a sentence's end within
  block, = split_blocks([Document("1", "", text)], tokenizer, 99, tagger)
  assert block.span_starts.tolist() == []


@pytest.mark.parametrize("limit", [
    {"_DOCUMENTS": 1}, {"_DOCUMENTS": 7}, {"_CHARACTERS": 1000}])
@pytest.mark.parametrize("max_tokens", [9, 32])
def test_batches_do_not_show(tokenizer, documents, monkeypatch, limit, max_tokens):
  expected = list(split_blocks(documents, tokenizer, max_tokens, RuleTagger()))
  for name, value in limit.items():
    monkeypatch.setattr(f"realm_tf.corpus.blocks.{name}", value)
  blocks = list(split_blocks(iter(documents), tokenizer, max_tokens, RuleTagger()))
  assert [str(block) for block in blocks] == [str(block) for block in expected]


def test_bad_input(tokenizer):
  with pytest.raises(UserError, match="document 'x': no words in field 'text'"):
    list(split_blocks([Document("w", "t", "cat"), Document("x", "t", "\u200b"),
                       Document("y", "t", "\u0301")], tokenizer, 32))
  with pytest.raises(UserError, match="max_tokens is 7"):
    list(split_blocks([], tokenizer, 7))
