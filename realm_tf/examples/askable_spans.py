"""What a question about a block may ask for: its salient spans, and phrases of some words.

People ask for more than names and figures. A phrase is a run of words of a sentence, none of
them punctuation, that neither begins nor ends with one of the corpus's most frequent words;
which they are is counted, so no list of a language's is needed. Shape letters: P spans, X
sentences, U word pieces of the corpus, N blocks.
"""

import enum
from typing import NamedTuple

import numpy as np

from realm_tf.corpus.store import Corpus
from realm_tf.examples.corpus_sentences import all_sentences
from realm_tf.text.figures import figures

_COMMON = 0.45  # of a text are its most frequent word pieces: some 100 in English
_LONGEST = 4  # words of a phrase
_DRAWS = 5  # of phrases in a sentence, most of which are none


class Kind(enum.IntEnum):
  """What is asked for, which decides the question word."""
  NAME = 0
  DATE = 1
  NUMBER = 2
  PHRASE = 3


class Askable(NamedTuple):
  """P spans, in the order of the blocks."""
  row: np.ndarray  # [P] int32: block
  start: np.ndarray  # [P] int32: piece of the body
  end: np.ndarray  # [P] int32: exclusive
  is_phrase: np.ndarray  # [P] bool


def askable_spans(corpus: Corpus, seed: int) -> Askable:
  """All salient spans, and some phrases of each sentence, drawn by the seed."""
  spans, (row, start, end) = corpus.span_starts, np.unique(
      np.concatenate([_phrases(corpus, seed + draw) for draw in range(_DRAWS)], 1), axis=1)
  named = np.repeat(np.arange(corpus.num_blocks, dtype=np.int32), spans.lengths)
  rows = np.concatenate([named, row]).astype(np.int32)
  starts = np.concatenate([spans.values, start])
  order = np.lexsort([starts, rows])
  return Askable(rows[order], starts[order].astype(np.int32),
                 np.concatenate([corpus.span_ends.values, end])[order].astype(np.int32),
                 (np.arange(len(rows)) >= len(named))[order])


def kind_of(text: str) -> Kind:
  """Of a salient span, by what figures there are in it; they are found in English text."""
  found = figures(text)
  if found:
    return Kind.NUMBER if found[0].is_number else Kind.DATE
  return Kind.NUMBER if any(char.isdigit() for char in text) else Kind.NAME


def _phrases(corpus: Corpus, seed: int) -> np.ndarray:
  """[3, P] block, first piece and last, exclusive, of a phrase of some sentences."""
  ids, sentences = corpus.body_ids.values, all_sentences(corpus)
  base = corpus.body_ids.splits[sentences.row]
  word = _word_begins(corpus)  # [W] places of the first pieces, then the end
  first, last = (np.searchsorted(word, base + side)
                 for side in (sentences.start, sentences.end))
  drawn = np.random.default_rng(seed).random((2, len(first)))
  begin = first + (drawn[0] * (last - first)).astype(np.int64)
  end = begin + 1 + (drawn[1] * _LONGEST).astype(np.int64)
  fits = np.flatnonzero((begin < last) & (end <= last))
  begin, end, row = begin[fits], end[fits], sentences.row[fits]
  is_word = np.array([any(map(str.isalnum, piece)) for piece in corpus.tokenizer.vocabulary])
  others = np.concatenate([[0], np.cumsum(~is_word[ids[word[:-1]]])])
  is_rare = _rare_pieces(ids, len(is_word))
  chosen = ((others[end] == others[begin]) & is_rare[ids[word[begin]]]
            & is_rare[ids[word[end] - 1]])
  row = row[chosen]
  own = corpus.body_ids.splits[row]
  return np.stack([row, word[begin[chosen]] - own, word[end[chosen]] - own])


def _rare_pieces(ids: np.ndarray, vocabulary: int) -> np.ndarray:
  """[V] bool: all but the most frequent."""
  counts = np.bincount(ids, minlength=vocabulary)
  order = np.argsort(-counts, kind="stable")
  is_rare = np.empty(vocabulary, bool)
  is_rare[order] = np.cumsum(counts[order]) > _COMMON * len(ids)
  return is_rare


def _word_begins(corpus: Corpus) -> np.ndarray:
  """Where words begin among all pieces of the corpus, and where the last one ends."""
  body = corpus.body_ids
  begins = ~corpus.tokenizer.continuation[body.values]
  begins[body.splits[:-1][body.lengths > 0]] = True  # a block may begin inside a word
  return np.append(np.flatnonzero(begins), len(begins))
