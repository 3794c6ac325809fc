import functools
import re
import tracemalloc
import types

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

import realm_tf  # noqa: F401
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.derived import Writer
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.store_writer import write_store
from realm_tf.datasets import answer_search, matching
from realm_tf.datasets.matching import find_occurrences
from realm_tf.evaluation import metrics
from realm_tf.text import patterns as patterns_module
from realm_tf.text.tokenizer import Tokenizer
from realm_tf.text.words import cuts_no_word, words
from tests.vocabulary import WORDS, small_vocabulary


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer(small_vocabulary(["##ing", "##y", "par"]))


def _corpus(texts, tokenizer):
  """As much of a corpus as the search reads: the texts and their tokens, if they have any."""
  encoded = np.array([*(text.encode("utf-8") for text in texts), None], object)[:-1]
  tokens = tokenizer.tokenize_with_offsets(tf.constant(encoded, tf.string))
  has_pieces = tokens[0].row_lengths().numpy() > 0
  ids, starts, ends = (Ragged(part.values.numpy(), part.row_splits.numpy()).take(has_pieces)
                       for part in tokens)
  return types.SimpleNamespace(texts=encoded[has_pieces], body_ids=ids, body_starts=starts,
                               body_ends=ends)


def _plain_search(answer, corpus):
  """By the rule alone: runs of tokens whose surface is the answer, and that cut no word.

  Of each the row, and the bytes; with none in a row that has the answer, None for bytes.
  Where tokens that are no words (accents, if case matters) make a run longer, the shortest.
  """
  occurrences = set()
  for row, encoded in enumerate(corpus.texts):
    text = encoded.decode()
    boundaries = {at for bounds in (corpus.body_starts, corpus.body_ends)
                  for at in bounds.row(row).tolist()
                  if cuts_no_word(text, len(encoded[:at].decode()))}
    surfaces = {(start, end) for start in corpus.body_starts.row(row).tolist()
                for end in corpus.body_ends.row(row).tolist()
                if start < end and {start, end} <= boundaries
                and words(encoded[start:end].decode()) == words(answer)}
    shortest = {(start, end) for start, end in surfaces if not any(
        start <= first and other <= end and (first, other) != (start, end)
        for first, other in surfaces)}
    if metrics.has_answer(text, [answer]):
      occurrences |= {(row, *surface) for surface in shortest} or {(row, None, None)}
  return occurrences


def _surfaces(places, corpus):
  """Places of tokens as rows and bytes, as `_plain_search` has them."""
  return {(row, None, None) if start < 0 else (
      row, int(corpus.body_starts.row(row)[start]), int(corpus.body_ends.row(row)[end]))
          for row, start, end in places}


def _places(occurrences):
  places = list(zip(occurrences.rows.tolist(), occurrences.starts.tolist(),
                    occurrences.ends.tolist()))
  splits = occurrences.splits
  return [places[first:end] for first, end in zip(splits[:-1], splits[1:])]


@pytest.mark.parametrize("tokens_per_part", [1, 50, 1 << 22])
@pytest.mark.parametrize("seed", range(3))
def test_equals_a_plain_search(tokenizer, monkeypatch, tokens_per_part, seed):
  monkeypatch.setattr(matching, "_TOKENS_PER_PART", tokens_per_part)
  rng = np.random.default_rng(seed)
  parts = ["a", "aa", "art", "party", "pay", "aing", "b", "é", "zebraé", "£", "–", " ", " "]
  corpus = _corpus(["".join(rng.choice(parts, rng.integers(0, 20))) for _ in range(40)],
                   tokenizer)
  answers = [["".join(rng.choice(parts, rng.integers(0, 5)))
              for _ in range(rng.integers(0, 5))] for _ in range(60)]
  occurrences = find_occurrences(answers, corpus, tokenizer)
  columns = occurrences.rows, occurrences.starts, occurrences.ends
  assert {column.dtype for column in columns} == {np.dtype(np.int32)}
  count = 0
  for group, places in zip(answers, _places(occurrences), strict=True):
    assert places == sorted(set(places))
    count += len(places)
    expected = set().union(*(_plain_search(answer, corpus) for answer in group))
    holding = {row for row, start, _ in expected if start is not None}
    assert _surfaces(places, corpus) == {
        place for place in expected if place[1] is not None or place[0] not in holding}
  assert count > 100


PARTS = [
    *"aA1-–—−‐'’“£°%。、々〇ßςΣ≠İﬁ²½京かがｶﾞＡ１क😀", *[" "] * 4,
    *"\u00a0\u00ad\u200b\u200d\n\u0301\u3099\ue000\u0e34\u0e33\u093f\u0941", "である", "東京",
    "art", "party", "Paris", "café", "1939", "45", "$5", "C++", "[UNK]", "zzz",
    "ソニー", "กรุงเทพ", "ม้า", "ລາວ", "ភ្នំ", "서울", "은", "مُحَمَّد", "محمد", "👍🏽", "❤️"]
_TEXTS = strategies.lists(
    strategies.lists(strategies.one_of(strategies.sampled_from(PARTS), strategies.characters(
        exclude_categories=["Cs"])), max_size=10).map("".join), min_size=1, max_size=4)


@pytest.mark.parametrize("name", ["small", "cased", "rich"])
@hypothesis.given(texts=_TEXTS, cuts=strategies.lists(strategies.tuples(
    strategies.integers(0, 3), strategies.integers(0, 30), strategies.integers(0, 30)),
    min_size=1, max_size=6))
@hypothesis.settings(max_examples=60)
def test_training_and_evaluation_agree_on_any_text(name, texts, cuts):
  """An answer, cut out of the texts anywhere, against the rule in plain Python."""
  tokenizer = _tokenizer_named(name)
  corpus = _corpus(texts, tokenizer)
  answers = [texts[text % len(texts)][min(cut):max(cut)] for text, *cut in cuts]
  occurrences = find_occurrences([[answer] for answer in answers], corpus, tokenizer)
  for answer, places in zip(answers, _places(occurrences), strict=True):
    assert _surfaces(places, corpus) == _plain_search(answer, corpus), (texts, answer)


@functools.cache
def _tokenizer_named(name):
  if name == "cased":
    return Tokenizer(small_vocabulary(["Paris", "P", "##A", "東", "か", "É", "é"]), False)
  return Tokenizer(small_vocabulary([] if name == "small" else [
      *"–’£東かกソ−ام\u1109", *(f"##{c}" for c in "5รงニー−ح\u1165"), "par", "##ty"]))


def test_equals_a_search_in_the_text(tokenizer, tmp_path):
  rng = np.random.default_rng(4)
  words = [*WORDS, "Party", "arts", "zebra", "Paris.", "(art)", "art-work", "café"]
  documents = [Document(str(i), "art", " ".join(rng.choice(words, 150)))
               for i in range(60)]
  write_store(tmp_path / "store", split_blocks(documents, tokenizer, 40),
              tokenizer=tokenizer, max_tokens=40, source="test")
  corpus = Corpus.open(tmp_path / "store")
  answers = [["art"], ["party"], ["the", "Zebra"], ["in paris"], ["cat sat"], ["café"]]
  occurrences = find_occurrences(answers, corpus, tokenizer)
  for group, places in zip(answers, _places(occurrences), strict=True):
    surfaces = []
    for row, start, end in places:
      text = corpus.texts[row]
      surfaces.append((row, text[corpus.body_starts.row(row)[start]:
                                 corpus.body_ends.row(row)[end]].decode().lower()))
    pattern = "|".join(rf"\b{re.escape(answer.lower())}\b" for answer in group)
    expected = [(row, match.group()) for row, text in enumerate(corpus.texts)
                for match in re.finditer(pattern, text.decode().lower())]
    assert surfaces == expected
    assert expected


def test_hashes_are_not_trusted(tokenizer, monkeypatch):
  monkeypatch.setattr(answer_search, "_hash",
                      lambda columns: sum(c.astype(np.uint64) for c in columns) // 7 * 0)
  monkeypatch.setattr(answer_search, "_pair", lambda first, second: first * 0)
  corpus = _corpus(["the cat sat on the mat"], tokenizer)
  answers = [["the cat"], ["cat sat", "the mat"], ["mat the"], ["the"]]
  assert _places(find_occurrences(answers, corpus, tokenizer)) == [
      [(0, 0, 1)], [(0, 1, 2), (0, 4, 5)], [], [(0, 0, 0), (0, 4, 4)]]


def test_memory_does_not_grow_with_the_corpus(tokenizer, monkeypatch, tmp_path):
  monkeypatch.setattr(matching, "_TOKENS_PER_PART", 1 << 10)
  answers, peaks = [[word] for word in ("the", "cat", "sat", "on", "mat")], []
  for blocks in (400, 3200):
    corpus = _corpus(["the cat sat on the mat"] * blocks, tokenizer)
    folder = tmp_path / str(blocks)
    folder.mkdir()
    writer = Writer(folder)
    tracemalloc.start()
    matching._write(answers, corpus, tokenizer, None, writer)
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    writer.close()
  assert (folder / "rows.bin").stat().st_size == 4 * 6 * blocks
  assert peaks[1] < 2 * peaks[0]


def test_art_is_not_in_party(tokenizer):
  for text in ("party", "par ty", "arts", "heart"):
    corpus = _corpus([text], tokenizer)
    assert not len(find_occurrences([["art"]], corpus, tokenizer).rows), text


def test_a_match_does_not_cross_blocks(tokenizer):
  corpus = _corpus(["the cat", "sat", "cat sat"], tokenizer)
  occurrences = find_occurrences([["cat sat"]], corpus, tokenizer)
  assert _places(occurrences) == [[(2, 0, 1)]]


def test_what_has_no_pieces_of_its_own_counts_for_the_block_alone(tokenizer):
  """A Thai sentence is one [UNK]: no span is the answer, but the block does have it."""
  corpus = _corpus(["กรุงเทพมหานคร", "x", "กรุง เทพ"], tokenizer)
  occurrences = find_occurrences([["กรุง"], ["เทพ"]], corpus, tokenizer)
  assert _places(occurrences) == [[(0, -1, -1), (2, 0, 0)], [(0, -1, -1), (2, 1, 1)]]


def test_a_syllable_of_several_pieces_is_taken_whole():
  tokenizer = Tokenizer(small_vocabulary(["£", "\u1109", "##\u1109", "##\u1165"]))
  corpus = _corpus(["£서", "서 서"], tokenizer)
  occurrences = find_occurrences([["서"], ["£"]], corpus, tokenizer)
  assert _places(occurrences) == [[(0, 1, 2), (1, 0, 1), (1, 2, 3)], [(0, 0, 0)]]


def test_a_word_that_is_cut_between_blocks_is_found_as_it_stands(tmp_path):
  tokenizer = Tokenizer(small_vocabulary())
  write_store(tmp_path / "store", split_blocks([Document("1", "", "q" * 20)], tokenizer, 12),
              tokenizer=tokenizer, max_tokens=12, source="test")
  corpus = Corpus.open(tmp_path / "store")
  answers = [["q" * length] for length in (2, 9, 11, 20)]
  occurrences = find_occurrences(answers, corpus, tokenizer)
  assert [text.decode() for text in corpus.texts] == ["q" * 9, "q" * 9, "qq"]
  assert _places(occurrences) == [[(2, 0, 1)], [(0, 0, 8), (1, 0, 8)], [], []]


def test_nothing_to_find(tokenizer):
  corpus = _corpus(["the cat"], tokenizer)
  for answers in ([], [[]], [[""], ["  ", "é\u4e00", "\u200b"]]):
    occurrences = find_occurrences(answers, corpus, tokenizer)
    assert occurrences.splits.tolist() == [0] * (len(answers) + 1)
  assert not len(find_occurrences([["cat"]], _corpus([""], tokenizer), tokenizer).rows)


def test_patterns_are_found_as_in_the_text(tokenizer, tmp_path):
  """CuratedTREC's answers, against a search in each text at word boundaries."""
  rng = np.random.default_rng(5)
  words = [*WORDS, "Party", "zebra", "Paris.", "café", "year 1984", "new  York"]
  documents = [Document(str(i), "art", " ".join(rng.choice(words, 60))) for i in range(30)]
  write_store(tmp_path / "store", split_blocks(documents, tokenizer, 40),
              tokenizer=tokenizer, max_tokens=40, source="test")
  corpus = Corpus.open(tmp_path / "store")
  answers = [["art"], [r"new\s+york|paris"], [r"art|born"], [r"19\d\d", "caf."], ["p.rt"]]
  regex = [False, True, True, True, True]
  occurrences = find_occurrences(answers, corpus, tokenizer, regex)
  for group, is_regex, places in zip(answers, regex, _places(occurrences), strict=True):
    surfaces = [(row, corpus.texts[row][corpus.body_starts.row(row)[start]:
                                        corpus.body_ends.row(row)[end]].decode())
                for row, start, end in places]
    expected = [(row, match.group()) for row, text in enumerate(corpus.texts)
                for match in re.finditer(
                    "|".join(rf"\b(?:{a if is_regex else re.escape(a)})\b" for a in group),
                    text.decode(), re.IGNORECASE)]
    assert sorted(surfaces) == sorted(expected)
    assert bool(expected) == (group != ["p.rt"])  # only inside of "party"


_PATTERNS = ["a", "art", r"\bart", r"p?art(y)?", r".*art", r"\s*1939\s*", r"19\d\d.45", "東",
             "京.*", "กรุง", r"\w+", r"(a)\1|5", "cafe.?", r"^\S+", "", r"\$\d", r"C\+\+",
             "서울은?", "."]


@hypothesis.given(texts=_TEXTS, patterns=strategies.lists(
    strategies.sampled_from(_PATTERNS), min_size=1, max_size=3))
@hypothesis.settings(max_examples=60)
def test_training_and_evaluation_agree_on_patterns(texts, patterns):
  tokenizer = _tokenizer_named("rich")
  corpus = _corpus(texts, tokenizer)
  occurrences = find_occurrences([patterns], corpus, tokenizer, [True])
  assert set(occurrences.rows.tolist()) == {
      row for row, text in enumerate(corpus.texts)
      if metrics.has_pattern(text.decode(), patterns)}
  for row, start, end in _surfaces(_places(occurrences)[0], corpus):
    surface = corpus.texts[row][start:end].decode() if start is not None else ""
    assert start is None or metrics.same_words(surface, patterns, regex=True) or any(
        re.search(pattern, surface, re.I) for pattern in patterns)


def test_a_pattern_that_would_take_for_ever_finds_nothing_and_is_named(tokenizer, caplog,
                                                                       monkeypatch):
  monkeypatch.setattr(patterns_module, "SECONDS", 0.01)
  corpus = _corpus(["a" * 60 + " !", "aa"], tokenizer)
  occurrences = find_occurrences([["(a|aa)+$"], ["aa"]], corpus, tokenizer, [True, True])
  assert _places(occurrences) == [[], [(1, 0, 1)]]
  assert not metrics.has_pattern("aa", ["(a|aa)+$"])
  assert [record.message for record in caplog.records if "(a|aa)+$" in record.message]
