import re
import types

import numpy as np
import pytest

import realm_tf  # noqa: F401
from realm_tf.corpus.blocks import split_blocks
from realm_tf.corpus.ragged import Ragged
from realm_tf.corpus.readers import Document
from realm_tf.corpus.store import Corpus
from realm_tf.corpus.writer import write_store
from realm_tf.datasets import matching
from realm_tf.datasets.matching import find_occurrences
from realm_tf.text.tokenizer import Tokenizer
from tests.vocabulary import WORDS, small_vocabulary


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer(small_vocabulary(["##ing", "##y", "par"]))


def _corpus(rows):
  """As much of a corpus as the search reads: the tokens."""
  lengths = [len(row) for row in rows]
  return types.SimpleNamespace(body_ids=Ragged(
      np.array([token for row in rows for token in row], np.int32),
      np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)))


def _naive(answers, rows, tokenizer):
  continuation, found = tokenizer.continuation, []
  for group in answers:
    places = set()
    for ids in tokenizer.tokenize(group or [""]).to_list():
      if not ids or tokenizer.unk_id in ids:
        continue
      for r, row in enumerate(rows):
        for start in range(len(row) - len(ids) + 1):
          after = start + len(ids)
          if (row[start:after] == ids and not continuation[row[start]]
              and (after == len(row) or not continuation[row[after]])):
            places.add((r, start, after - 1))
    found.append(sorted(places))
  return found


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
  pieces = ["a", "##a", "art", "##y", "par", "##ing", "b", "[UNK]"]
  ids = [tokenizer.vocabulary.index(piece) for piece in pieces]
  rows = [rng.choice(ids, rng.integers(0, 30)).tolist() for _ in range(40)]
  words = ["a", "aa", "art", "party", "aing", "b", "", "é", "aaa", "artya"]
  answers = [[" ".join(rng.choice(words, rng.integers(0, 4)))
              for _ in range(rng.integers(0, 5))] for _ in range(60)]
  expected = _naive(answers, rows, tokenizer)
  found = find_occurrences(answers, _corpus(rows), tokenizer)
  assert _places(found) == expected
  assert sum(map(len, expected)) > 100
  assert {found.rows.dtype, found.starts.dtype, found.ends.dtype} == {np.dtype(np.int32)}


def test_hashes_are_not_trusted(tokenizer, monkeypatch):
  monkeypatch.setattr(matching, "_hash",
                      lambda columns: sum(c.astype(np.uint64) for c in columns) // 7 * 0)
  rows = [[tokenizer.vocabulary.index(w) for w in "the cat sat on the mat".split()]]
  answers = [["the cat"], ["cat sat", "the mat"], ["mat the"], ["the"]]
  assert _places(find_occurrences(answers, _corpus(rows), tokenizer)) == _naive(
      answers, rows, tokenizer)


def test_equals_a_search_in_the_text(tokenizer, tmp_path):
  rng = np.random.default_rng(4)
  words = [*WORDS, "Party", "arts", "zebra", "Paris.", "(art)", "art-work", "café"]
  documents = [Document(str(i), "art", " ".join(rng.choice(words, 150)))
               for i in range(60)]
  write_store(tmp_path / "store", split_blocks(documents, tokenizer, 40),
              tokenizer=tokenizer, max_tokens=40, source="test")
  corpus = Corpus.open(tmp_path / "store")
  answers = [["art"], ["party"], ["the", "Zebra"], ["in paris"], ["cat sat"], ["café"]]
  found = find_occurrences(answers, corpus, tokenizer)
  for group, places in zip(answers, _places(found), strict=True):
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


def test_art_is_not_in_party(tokenizer):
  for text in ("party", "par ty", "arts", "heart"):
    ids = tokenizer.tokenize([text]).to_list()
    assert not len(find_occurrences([["art"]], _corpus(ids), tokenizer).rows), text


def test_a_match_does_not_cross_blocks(tokenizer):
  rows = tokenizer.tokenize(["the cat", "sat", "", "cat sat"]).to_list()
  found = find_occurrences([["cat sat"]], _corpus(rows), tokenizer)
  assert _places(found) == [[(3, 0, 1)]]


def test_nothing_to_find(tokenizer):
  rows = tokenizer.tokenize(["the cat"]).to_list()
  for answers in ([], [[]], [[""], ["  ", "é\u4e00"]]):
    found = find_occurrences(answers, _corpus(rows), tokenizer)
    assert found.splits.tolist() == [0] * (len(answers) + 1)
  assert not len(find_occurrences([["cat"]], _corpus([[]]), tokenizer).rows)


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
  found = find_occurrences(answers, corpus, tokenizer, regex)
  for group, is_regex, places in zip(answers, regex, _places(found), strict=True):
    surfaces = [(row, corpus.texts[row][corpus.body_starts.row(row)[start]:
                                        corpus.body_ends.row(row)[end]].decode())
                for row, start, end in places]
    expected = [(row, match.group()) for row, text in enumerate(corpus.texts)
                for match in re.finditer(
                    "|".join(rf"\b(?:{a if is_regex else re.escape(a)})\b" for a in group),
                    text.decode(), re.IGNORECASE)]
    assert sorted(surfaces) == sorted(expected)
    assert bool(expected) == (group != ["p.rt"])  # only inside of "party"
